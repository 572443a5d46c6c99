"""Which windows make a video of any length.

frames   0 ........ 16 ........ 28 ........ 40          window 17, overlap 5: stride 12
windows  [    0    ]
                [    1    ]
                        [    2    ]                     the end is padded with the last frame, and cut off again
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.shapes import TEMPORAL_STRIDE, latent_frames, pixel_frames


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """Where windows start, in frames.

    Attributes:
      windows: first frame of each window.
      padded_frames: frames that the windows read; the video's last frame is repeated up to there.
      output_frames: frames of the result.
      latents: latent frames of the stitched windows.
    """

    windows: tuple[int, ...]
    padded_frames: int
    output_frames: int
    latents: int


class Position(NamedTuple):
    """Where a run is: denoising steps done, in all, and what is being worked on."""

    done: int
    total: int
    label: str


def plan_windows(frames: int, settings: Settings) -> WindowPlan:
    """Windows of a video of ``frames`` frames.

    The default covers every frame: the stride is a multiple of 4, so that latents and frames stay in step, and the
    end is padded. Reference mode drops the tail.

    Raises:
      UserError: a video too short for reference mode, or windows of one frame for more than one.
    """
    size, stride = settings.window, settings.stride
    if settings.mode == "reference":
        if frames < size:
            raise UserError(
                f"{frames} frames, but reference mode needs at least one window of {size}: "
                f"give a longer video, a smaller window, or use the default mode"
            )
        count = (frames - size) // stride + 1
        latents = _stitched(count, settings)
        # an even number of latents makes 4 frames of the first one too
        made = pixel_frames(latents) if latents % 2 else TEMPORAL_STRIDE * latents
        return WindowPlan(tuple(k * stride for k in range(count)), frames, made, latents)
    if size == 1 < frames:
        raise UserError(f"window 1 makes a single frame, the video has {frames}: expected 5, 9, 13 ... 4 n + 1")
    count = max(0, -(-(frames - size) // stride)) + 1
    padded = size + (count - 1) * stride
    return WindowPlan(tuple(k * stride for k in range(count)), padded, frames, _stitched(count, settings))


def _stitched(count: int, settings: Settings) -> int:
    """Latent frames of ``count`` windows, shared ones counted once."""
    return latent_frames(settings.window) * count - (count - 1) * (settings.overlap_latents + 1)
