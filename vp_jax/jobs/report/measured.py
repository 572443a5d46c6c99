"""What is measured of a result while its pictures are written: frame by frame, in the hole, at the source's size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vp_jax.eval.continuity import ContinuityMeter

PixelBounds = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


class HoleMeter:
    """Takes the frames of a result in turn: `vp_jax.eval.continuity`, the colour of the hole, where the hole is.

    Args:
      starts: first frame of each window.
      overlap: frames that neighbouring windows share.
    """

    def __init__(self, starts: Sequence[int], overlap: int) -> None:
        self._starts, self._meter = list(starts), ContinuityMeter(starts, overlap)
        self._colours: list[list[float] | None] = []
        self.boxes: list[PixelBounds | None] = []
        self.areas: list[float] = []

    def add(self, result_HWC: np.ndarray, hole_HW: np.ndarray) -> None:
        """The next frame: uint8 pixels of the result, bool hole."""
        self._meter.add(result_HWC, hole_HW)
        box = hole_box(hole_HW)
        self.boxes.append(box)
        self.areas.append(float(hole_HW.mean()))
        self._colours.append(None if box is None else _rounded(result_HWC[hole_HW].mean(axis=0)))

    @property
    def record(self) -> dict[str, Any]:
        """As JSON values, None where there is nothing to measure.

        ``change`` and ``colour`` have one entry per frame, ``window_colour`` one per window, in grey levels; a seam's
        ``jump`` is in units of the median change of the other frames.
        """
        found = self._meter.result
        return {
            "change": _rounded(found.change_F),
            "colour": self._colours,
            "window_colour": [None if np.isnan(colour).any() else _rounded(colour) for colour in found.colour_KC],
            "seams": [
                {"frame": start, "jump": _number(jump)} for start, jump in zip(self._starts[1:], found.seam_K[1:])
            ],
            "flicker": _number(found.flicker),
            "seam_jump": _number(found.seam_jump),
            "colour_drift": _number(found.colour_drift),
        }


def hole_box(hole_HW: np.ndarray) -> PixelBounds | None:
    """The smallest box that holds a hole; None if there is none."""
    rows, columns = (np.flatnonzero(hole_HW.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def _number(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None


def _rounded(values: Iterable[float]) -> list[Any]:
    return [_number(value) for value in values]
