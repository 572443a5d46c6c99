"""Confidence intervals of a mean over clips: percentile bootstrap (Efron 1979), clips drawn with replacement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """Mean over ``clips`` clips, with the lower and upper bound of its confidence interval."""

    mean: float
    low: float
    high: float
    clips: int


def interval(values: Sequence[float], *, level: float = 0.95, draws: int = 4000, seed: int = 0) -> Interval:
    """Mean of one number per clip, with its bootstrap interval.

    Args:
      values: one number per clip. NaN marks a clip for which the number does not exist; it is left out.
      level: share of resampled means between the bounds, 0 to 1.
      draws: number of resampled means.
      seed: seed of the resampling; the same values and seed give the same bounds.

    Returns:
      The interval; NaNs if there is no value.
    """
    kept = np.asarray([value for value in values if not math.isnan(value)], np.float64)
    if not len(kept):
        return Interval(math.nan, math.nan, math.nan, 0)
    chosen = np.random.default_rng(seed).integers(0, len(kept), (draws, len(kept)))
    low, high = np.quantile(kept[chosen].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(kept.mean()), float(low), float(high), len(kept))
