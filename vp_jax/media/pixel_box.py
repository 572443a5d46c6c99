"""Rectangles of pixels, and the one around a hole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class PixelBox(NamedTuple):
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.left + self.width)

    @property
    def size(self) -> tuple[int, int]:
        """Its height and width."""
        return self.height, self.width

    @property
    def span(self) -> tuple[slice, slice]:
        """Its rows and columns, as an index of pictures."""
        return self.rows, self.columns


def box_around(hole_HW: np.ndarray, margin: int) -> PixelBox:
    """The smallest box that holds a hole, bool (H, W), with ``margin`` pixels on each side where the frame has them."""
    rows, columns = (np.flatnonzero(hole_HW.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return PixelBox(0, 0, 0, 0)
    top, left = (max(0, int(used[0]) - margin) for used in (rows, columns))
    bottom, right = (min(full, int(used[-1]) + 1 + margin) for used, full in zip((rows, columns), hole_HW.shape))
    return PixelBox(top, left, bottom - top, right - left)
