"""What is measured of every masked thing while it is tracked; the mask filter judges by these numbers alone."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np


class _Look(NamedTuple):
    frame: int
    area: float
    centre: tuple[float, float]
    confidence: float
    lost: bool


class ThingStatistics:
    """Collects a thing's masks over the frames of its shot.

    Args:
      start, stop: frames of the shot.
    """

    def __init__(self, start: int, stop: int) -> None:
        self._start, self._stop = start, stop
        self._looks: list[_Look] = []

    def add(self, frame: int, mask_HW: np.ndarray, confidence: float, lost: bool) -> None:
        """One frame's mask, bool; frames come in order."""
        rows, columns = np.nonzero(mask_HW)
        centre = (float(rows.mean()), float(columns.mean())) if len(rows) else (0.0, 0.0)
        diagonal = float(np.hypot(*mask_HW.shape))
        scaled = (centre[0] / diagonal, centre[1] / diagonal)
        self._looks.append(_Look(frame, float(mask_HW.mean()), scaled, confidence, lost or not len(rows)))

    def values(self) -> dict[str, float]:
        """The statistics.

        ``start``, ``stop``: frames of the shot. ``area``, ``least_area``, ``most_area``: share of the frame, mean and
        extremes over the frames with a mask. ``change``, ``worst_change``: of the area from one frame to the next, as a
        share of the larger one, mean and largest. ``jitter``: mean second difference of the centre, in diagonals.
        ``lost``: share of the shot's frames without the thing. ``confidence``: mean, [0, 1].
        """
        seen = [look for look in self._looks if not look.lost]
        areas = np.array([look.area for look in seen] or [0.0])
        pairs = [(a.area, b.area) for a, b in itertools.pairwise(seen) if b.frame == a.frame + 1]
        changes = np.array([abs(a - b) / max(a, b) for a, b in pairs] or [0.0])
        centres = np.array([look.centre for look in seen])
        jitter = np.linalg.norm(np.diff(centres, 2, axis=0), axis=1).mean() if len(seen) > 2 else 0.0
        values = {
            "area": areas.mean(),
            "least_area": areas.min(),
            "most_area": areas.max(),
            "change": changes.mean(),
            "worst_change": changes.max(),
            "jitter": jitter,
            "lost": 1 - len(seen) / max(1, self._stop - self._start),
            "confidence": np.mean([look.confidence for look in seen] or [0.0]),
        }
        rounded = {name: round(float(value), 6) for name, value in values.items()}
        return {"start": self._start, "stop": self._stop, **rounded}
