"""Which windows make a video of any length.

frames   0 ........ 16 ........ 28 ........ 40          window 17, overlap 5: stride 12
windows  [    0    ]
                [    1    ]
                        [    2    ]                     the end is padded with the last frame, and cut off again

Windows do not reach across scene cuts: every shot has windows of its own, as a video of its own would.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.media.cuts import check_cuts
from vp_jax.shapes import TEMPORAL_STRIDE, latent_frames, pixel_frames


class Shot(NamedTuple):
    """A part of a video without a scene cut.

    Attributes:
      start: its first frame.
      frames: how many it has in the result.
      window: number of its first window.
      windows: how many it has.
      latents: latent frames of its stitched windows.
    """

    start: int
    frames: int
    window: int
    windows: int
    latents: int


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """Where windows start, in frames.

    Attributes:
      windows: first frame of each window.
      padded_frames: frames that the windows read; the video's last frame is repeated up to there.
      output_frames: frames of the result.
      latents: latent frames of the stitched windows.
      shots: parts between scene cuts; without a cut, one.
    """

    windows: tuple[int, ...]
    padded_frames: int
    output_frames: int
    latents: int
    shots: tuple[Shot, ...]

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frame of every shot but the first."""
        return tuple(shot.start for shot in self.shots[1:])

    @property
    def fresh(self) -> frozenset[int]:
        """Numbers of the windows that begin a shot and read nothing of the window before them."""
        return frozenset(shot.window for shot in self.shots)

    def is_followed(self, number: int) -> bool:
        """Whether a window reads what window ``number`` leaves."""
        return number + 1 < len(self.windows) and number + 1 not in self.fresh


class Position(NamedTuple):
    """Where a run is: denoising steps done, in all, and what is being worked on."""

    done: int
    total: int
    label: str


def plan_windows(frames: int, settings: Settings, cuts: Sequence[int] = ()) -> WindowPlan:
    """Windows of a video of ``frames`` frames.

    The default covers every frame: the stride is a multiple of 4, so that latents and frames stay in step, and the
    end is padded. Reference mode drops the tail.

    Args:
      frames: of the video.
      settings: window, overlap and mode.
      cuts: frames that begin a shot, ascending from 1 on.

    Raises:
      UserError: a video too short for reference mode, windows of one frame for more than one, cuts outside of the
        video, or any in reference mode, which knows none.
    """
    cuts = check_cuts(cuts, frames)
    if cuts and settings.mode == "reference":
        raise UserError(f"cuts {','.join(map(str, cuts))}: reference mode knows no scene cuts, leave them off")
    starts = (0, *cuts)
    parts = [_plan_shot(stop - start, settings) for start, stop in zip(starts, (*cuts, frames))]
    windows: list[int] = []
    shots = []
    for start, (count, _, made, latents) in zip(starts, parts):
        shots.append(Shot(start, made, len(windows), count, latents))
        windows += [start + number * settings.stride for number in range(count)]
    padded, made, latents = (sum(part[k] for part in parts) for k in (1, 2, 3))
    return WindowPlan(tuple(windows), padded, made, latents, tuple(shots))


def _plan_shot(frames: int, settings: Settings) -> tuple[int, int, int, int]:
    """How many windows a shot has, the frames that they read, those that are made, and their latent frames."""
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
        return count, frames, pixel_frames(latents) if latents % 2 else TEMPORAL_STRIDE * latents, latents
    if size == 1 < frames:
        raise UserError(f"window 1 makes a single frame, the video has {frames}: expected 5, 9, 13 ... 4 n + 1")
    count = max(0, -(-(frames - size) // stride)) + 1
    return count, size + (count - 1) * stride, frames, _stitched(count, settings)


def _stitched(count: int, settings: Settings) -> int:
    """Latent frames of ``count`` windows, shared ones counted once."""
    return latent_frames(settings.window) * count - (count - 1) * (settings.overlap_latents + 1)
