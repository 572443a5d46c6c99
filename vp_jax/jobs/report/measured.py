"""What is measured of a result while its pictures are written: frame by frame, in the hole, at the source's size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vp_jax.eval.continuity import ContinuityMeter
from vp_jax.media.pixel_box import box_around

PixelBounds = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


class HoleMeter:
    """Takes the frames of a result in turn: `vp_jax.eval.continuity`, the colour of the hole, where the hole is.

    Args:
      starts: first frame of each window.
      overlap: frames that neighbouring windows share.
      cuts: first frame of every shot but the first. Each shot is measured as a video of its own.
    """

    def __init__(self, starts: Sequence[int], overlap: int, cuts: Sequence[int] = ()) -> None:
        spans = zip((0, *cuts), (*cuts, math.inf))
        self._shots = [(first, [start for start in starts if first <= start < end]) for first, end in spans]
        self._meters = [ContinuityMeter([s - first for s in part], overlap) for first, part in self._shots]
        self._colours: list[list[float] | None] = []
        self.boxes: list[PixelBounds | None] = []
        self.areas: list[float] = []

    def add(self, result_HWC: np.ndarray, hole_HW: np.ndarray) -> None:
        """The next frame: uint8 pixels of the result, bool hole."""
        shot = sum(first <= len(self.areas) for first, _ in self._shots) - 1
        self._meters[shot].add(result_HWC, hole_HW)
        box = hole_box(hole_HW)
        self.boxes.append(box)
        self.areas.append(float(hole_HW.mean()))
        self._colours.append(None if box is None else _rounded(result_HWC[hole_HW].mean(axis=0)))

    @property
    def record(self) -> dict[str, Any]:
        """As JSON values, None where there is nothing to measure.

        ``change`` and ``colour`` have one entry per frame, ``window_colour`` one per window, in grey levels; a seam's
        ``jump`` is in units of the largest change of as many other frames.
        """
        found = [meter.result for meter in self._meters]
        jumps = [
            {"frame": start, "jump": _number(jump)}
            for (_, starts), part in zip(self._shots, found)
            for start, jump in zip(starts[1:], part.seam_K[1:])
        ]
        colours = [colour for part in found for colour in part.colour_KC]
        drifts = [np.linalg.norm(part.colour_KC[1:] - part.colour_KC[0], axis=1) for part in found]
        return {
            "change": _rounded(np.concatenate([part.change_F for part in found])),
            "colour": self._colours,
            "window_colour": [None if np.isnan(colour).any() else _rounded(colour) for colour in colours],
            "seams": jumps,
            "window_change": [
                _mean(part.change_F[start - first : stop - first])
                for (first, starts), part in zip(self._shots, found)
                for start, stop in zip(starts, [*starts[1:], first + len(part.change_F)])
            ],
            "flicker": _mean(np.concatenate([part.change_F for part in found])),
            "seam_jump": _mean(np.concatenate([part.seam_K[1:] for part in found])),
            "colour_drift": _mean(np.concatenate(drifts)),
        }


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return _number(known.mean()) if len(known) else None


def hole_box(hole_HW: np.ndarray) -> PixelBounds | None:
    """The smallest box that holds a hole; None if there is none."""
    box = box_around(hole_HW, 0)
    return (box.left, box.top, box.width, box.height) if box.height else None


def _number(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None


def _rounded(values: Iterable[float]) -> list[Any]:
    return [_number(value) for value in values]
