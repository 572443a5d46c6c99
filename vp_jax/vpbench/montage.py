"""One video of a clip for pages: source, truth and every method as panels of a grid, so that none is out of step.

A page draws each panel onto a canvas of its own. Panels begin at multiples of 16 pixels: no block of the encoder holds
two of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.media.frames import Frames, again
from vp_jax.media.pictures import fitted
from vp_jax.media.video_writer import write_video

LONGEST_PANEL, SHORTEST_PANEL = 480, 240
"""Pixels of a panel's longer side: larger ones are reduced, and much smaller ones repeated."""
_BLOCK, _QUALITY, _KEYFRAMES = 16, 18, 24
_HATCH_COLOUR = np.array((255, 122, 61), np.float32)


class Grid(NamedTuple):
    """Where panels are, in pixels: size of each, distance from one to the next, and columns."""

    height: int
    width: int
    down: int
    right: int
    columns: int

    def place(self, panel: int) -> tuple[int, int]:
        """Top and left of a panel."""
        return self.down * (panel // self.columns), self.right * (panel % self.columns)


def grid_of(height: int, width: int, panels: int) -> Grid:
    """The grid of panels of frames of this size."""
    longer = max(height, width)
    times = max(1, SHORTEST_PANEL // longer)
    scale = float(times) if times > 1 else min(1.0, LONGEST_PANEL / longer)
    rows, columns = (max(2, 2 * round(side * scale / 2)) for side in (height, width))
    across = math.ceil(math.sqrt(panels))
    return Grid(rows, columns, -(-rows // _BLOCK) * _BLOCK, -(-columns // _BLOCK) * _BLOCK, across)


def with_hole(frame_HWC: np.ndarray, hole_HW: np.ndarray) -> np.ndarray:
    """A frame whose hole is tinted, uint8."""
    out_HWC = frame_HWC.copy()
    out_HWC[hole_HW] = np.rint(0.5 * out_HWC[hole_HW] + 0.5 * _HATCH_COLOUR)
    return out_HWC


def write_montage(path: Path, panels: Sequence[Frames | None], count: int, fps: Fraction, grid: Grid) -> None:
    """Write the video.

    Args:
      path: .mp4.
      panels: uint8 RGB frames of one size; None is left dark. The last frame of shorter ones is held.
      count: number of frames.
      fps: frames per second.
      grid: see `grid_of`.

    Raises:
      UserError: it cannot be written.
    """
    write_video(path, _pictures(panels, count, grid), fps, quality=_QUALITY, keyframes=_KEYFRAMES)


def _pictures(panels: Sequence[Frames | None], count: int, grid: Grid) -> Iterator[np.ndarray]:
    own = [None if panel is None else again(panel) for panel in panels]
    rows = math.ceil(len(panels) / grid.columns)
    for frame in range(count):
        out_HWC = np.full((grid.down * rows, grid.right * grid.columns, 3), 22, np.uint8)
        for number, frames in enumerate(own):
            if frames is not None:
                top, left = grid.place(number)
                picture_HWC = _sized(frames[min(frame, len(frames) - 1)], grid)
                out_HWC[top : top + grid.height, left : left + grid.width] = picture_HWC
        yield out_HWC


def _sized(frame_HWC: np.ndarray, grid: Grid) -> np.ndarray:
    times = grid.height // frame_HWC.shape[0]
    if times > 1 and grid.width == times * frame_HWC.shape[1]:
        return frame_HWC.repeat(times, axis=0).repeat(times, axis=1)
    if frame_HWC.shape[:2] == (grid.height, grid.width):
        return frame_HWC
    return fitted(frame_HWC, (grid.width, grid.height))
