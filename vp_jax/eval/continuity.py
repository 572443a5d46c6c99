"""How smoothly a result runs in its hole: changes from frame to frame, jumps where windows meet, drift of the colour.

With a truth t, changes are those of the error; without one, they are those of the result r itself. Holes m are bool:

    change_f    = mean |(r_f - r_f-1) - (t_f - t_f-1)| over pixels that are hole in f and f-1, in grey levels
    flicker     = mean of change_f
    seam jump   = mean over seams of (largest change_f in the seam's frames) / (its median over stretches elsewhere)
    colour drift = mean over windows k > 0 of |o_k - o_0|, o_k the mean colour (error) of the hole in window k

The frames of a seam are those in which two windows overlap, and the first behind them. The stretches elsewhere have as
many frames as a seam, since the largest change of more frames is larger; where windows are too short for them, single
frames stand in. So a video without a seam has a jump of 1. Everything is read frame by
frame, so a video of any length is measured in constant memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Continuity(NamedTuple):
    """Numbers of one video; NaN where there is nothing to measure.

    Attributes:
      change_F: mean change of each frame from the one before, in grey levels; NaN at frame 0.
      colour_KC: mean colour of the hole in each window, or of its error, in grey levels.
      seam_K: jump of each seam, in units of the largest change of as many frames elsewhere; the first window has none.
      flicker, seam_jump, colour_drift: see the module.
    """

    change_F: np.ndarray
    colour_KC: np.ndarray
    seam_K: np.ndarray
    flicker: float
    seam_jump: float
    colour_drift: float


class ContinuityMeter:
    """Takes the frames of a result in turn.

    Args:
      starts: first frame of each window.
      overlap: frames that neighbouring windows share.
    """

    def __init__(self, starts: Sequence[int], overlap: int) -> None:
        self._starts, self._overlap = list(starts), overlap
        self._changes: list[float] = []
        self._sums_KC = np.zeros((len(self._starts), 3))
        self._counts_K = np.zeros(len(self._starts))
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, result_HWC: np.ndarray, hole_HW: np.ndarray, truth_HWC: np.ndarray | None = None) -> None:
        """The next frame: uint8 pixels of result and truth, bool hole."""
        frame = len(self._changes)
        values = result_HWC.astype(np.int16) - (0 if truth_HWC is None else truth_HWC.astype(np.int16))
        change = math.nan
        if self._before is not None:
            both = hole_HW & self._before[1]
            change = float(np.abs(values[both] - self._before[0][both]).mean()) if both.any() else math.nan
        self._changes.append(change)
        window = np.searchsorted(self._starts, frame, side="right") - 1
        self._sums_KC[window] += values[hole_HW].sum(axis=0)
        self._counts_K[window] += hole_HW.sum()
        self._before = values, hole_HW

    @property
    def result(self) -> Continuity:
        """The numbers of the frames so far."""
        change_F = np.array(self._changes)
        seam_K, seam_F = np.full(len(self._starts), math.nan), np.zeros(len(change_F), bool)
        spans = [slice(start, start + self._overlap + 1) for start in self._starts[1:]]
        for span in spans:
            seam_F[span] = True
        usual = _usual(change_F, seam_F, self._overlap + 1)
        for k, span in enumerate(spans, 1):
            part = change_F[span][~np.isnan(change_F[span])]
            seam_K[k] = part.max() / usual if len(part) and usual else math.nan
        colour_KC = np.divide(
            self._sums_KC,
            self._counts_K[:, None],
            out=np.full_like(self._sums_KC, math.nan),
            where=self._counts_K[:, None] > 0,
        )
        distances = np.linalg.norm(colour_KC[1:] - colour_KC[0], axis=1)
        return Continuity(change_F, colour_KC, seam_K, _mean(change_F), _mean(seam_K), _mean(distances))


def continuity_of(
    result_FHWC: np.ndarray,
    holes_FHW: np.ndarray,
    starts: Sequence[int],
    overlap: int,
    truth_FHWC: np.ndarray | None = None,
) -> Continuity:
    """Numbers of a video in memory; see `ContinuityMeter`."""
    meter = ContinuityMeter(starts, overlap)
    for frame, hole_HW in enumerate(holes_FHW):
        meter.add(result_FHWC[frame], hole_HW, None if truth_FHWC is None else truth_FHWC[frame])
    return meter.result


def _usual(change_F: np.ndarray, seam_F: np.ndarray, length: int) -> float:
    """Median of the largest changes of all stretches of ``length`` frames apart from seams, or of single frames."""
    apart_F = ~seam_F & ~np.isnan(change_F)
    stretches = (slice(first, first + length) for first in range(len(change_F) - length + 1))
    largest = [change_F[stretch].max() for stretch in stretches if apart_F[stretch].all()]
    return _median(np.array(largest) if largest else change_F[~seam_F])


def _mean(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else math.nan


def _median(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(np.median(kept)) if len(kept) else math.nan
