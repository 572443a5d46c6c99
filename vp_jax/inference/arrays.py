"""Arrays that a caller gives as video or mask: what they have to be, in one line where they are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from vp_jax.errors import UserError


def checked_frames(video: Any) -> np.ndarray:
    """Frames, uint8 (F, H, W, 3).

    Raises:
      UserError: another type or shape.
    """
    frames_FHWC = np.asarray(video)
    shape, kind = frames_FHWC.shape, frames_FHWC.dtype
    if len(shape) != 4:
        hint = "; for a single frame, video[None]" if len(shape) == 3 else ""
        raise UserError(f"video has shape {shape}: expected (frames, height, width, 3){hint}")
    if shape[3] != 3:
        hint = ", channels last" if shape[1] == 3 else ""
        raise UserError(f"video has shape {shape}: expected 3 channels, (frames, height, width, 3){hint}")
    if not frames_FHWC.size:
        raise UserError(f"video has shape {shape}: expected at least one frame and one pixel")
    if kind != np.uint8:
        hint = ""
        if np.issubdtype(kind, np.floating):
            low, high = float(np.nanmin(frames_FHWC)), float(np.nanmax(frames_FHWC))
            hint = f", here {low:.3g} to {high:.3g}"
            if 0 <= low and high <= 1:
                hint += "; convert with (255 * video).round().astype('uint8')"
        raise UserError(f"video is {kind}: expected uint8 with values 0 to 255{hint}")
    return frames_FHWC


def checked_holes(holes: np.ndarray) -> np.ndarray:
    """Holes, bool (F, H, W), of an array that holds bool, 0 and 1, or 0 and 255.

    Raises:
      UserError: another shape or other values.
    """
    if holes.ndim != 3 or not holes.size:
        raise UserError(
            f"mask has shape {holes.shape}: expected (frames, height, width), or (height, width) for all frames"
        )
    if holes.dtype == np.bool_:
        return holes
    values = np.unique(holes)
    if len(values) > 2 or not (set(values.tolist()) <= {0, 1} or set(values.tolist()) <= {0, 255}):
        few = ", ".join(f"{value:g}" for value in values[:4].tolist()) + (" ..." if len(values) > 4 else "")
        raise UserError(f"mask holds {few}: expected bool, 0 and 1, or 0 and 255; for grey values, mask >= 128")
    return holes > 0
