"""A video as the model reads it: holes black, the first frame in place, padded to the last window's end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.models.latent_grid import cover_cells
from vp_jax.shapes import SPATIAL_STRIDE

PIXEL_MULTIPLE = 2 * SPATIAL_STRIDE
"""Heights and widths are multiples of this: 8 pixels per latent cell, 2 cells per token."""


class PaddedVideo(NamedTuple):
    """Pixels and holes of all windows, at the model's size.

    Attributes:
      frames_FHWC: uint8, holes black; as many as `WindowPlan.padded_frames`.
      holes_FHW: bool, True = generated.
    """

    frames_FHWC: np.ndarray
    holes_FHW: np.ndarray

    def holes(self, plan: WindowPlan, settings: Settings) -> Iterator[np.ndarray]:
        """Holes (F, H, W) of each window."""
        return (self.holes_FHW[start : start + settings.window] for start in plan.windows)

    def window(self, start: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (1, F, H, W, 3) in [-1, 1] and holes (1, F, H, W) in {0, 1} of one window, float32."""
        span = slice(start, start + frames)
        pixels_BFHWC = self.frames_FHWC[None, span].astype(np.float32) / 127.5 - 1.0
        return pixels_BFHWC, self.holes_FHW[None, span].astype(np.float32)


def pad_video(
    frames_FHWC: np.ndarray, holes_FHW: np.ndarray, settings: Settings, first_frame_HWC: np.ndarray | None = None
) -> PaddedVideo:
    """What the windows of a video read.

    Args:
      frames_FHWC: uint8 [0, 255], H and W multiples of 16.
      holes_FHW: bool, True = generated. Grown to complete latent cells, except in reference mode.
      settings: window and overlap decide the length.
      first_frame_HWC: uint8, replaces frame 0, whose hole is then closed.

    Raises:
      UserError: a size that is no multiple of 16.
    """
    for name, size in zip(("height", "width"), frames_FHWC.shape[1:3]):
        if size % PIXEL_MULTIPLE:
            raise UserError(f"{name} {size}: expected a multiple of {PIXEL_MULTIPLE}")
    holes = np.array(holes_FHW, bool)
    if first_frame_HWC is not None:
        holes[0] = False
    if settings.mode != "reference":
        holes = cover_cells(holes)
    frames = np.where(holes[..., None], np.uint8(0), frames_FHWC)
    if first_frame_HWC is not None:
        frames[0] = first_frame_HWC
    extra = plan_windows(len(frames), settings).padded_frames - len(frames)
    padding = ((0, extra), (0, 0), (0, 0))
    return PaddedVideo(np.pad(frames, (*padding, (0, 0)), mode="edge"), np.pad(holes, padding, mode="edge"))
