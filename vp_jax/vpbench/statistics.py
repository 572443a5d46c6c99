"""Means over clips and seeds with bootstrap intervals, paired differences, and ranks.

A clip with three seeds is not three clips: the bootstrap draws clips with replacement, and for each drawn clip draws
among its seeds. Every clip has the same weight, however many seeds it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vp_jax.eval.bootstrap import Interval

SeedValues = Mapping[str, Mapping[int, float]]
"""A score by clip and seed."""


def mean_of_seeds(values: SeedValues) -> dict[str, float]:
    """Mean over the seeds of each clip; clips without a value are left out."""
    known = {clip: [v for v in seeds.values() if not math.isnan(v)] for clip, seeds in values.items()}
    return {clip: float(np.mean(found)) for clip, found in known.items() if found}


def seed_interval(values: SeedValues, *, level: float = 0.95, draws: int = 4000, seed: int = 0) -> Interval:
    """Mean over clips of the mean over their seeds, with its bootstrap interval over both.

    Args:
      values: a score by clip and seed; NaN marks values that do not exist, they are left out.
      level: share of resampled means between the bounds.
      draws: number of resampled means.
      seed: of the resampling.

    Returns:
      The interval; NaNs if there is no value.
    """
    kept = [[v for _, v in sorted(values[clip].items()) if not math.isnan(v)] for clip in sorted(values)]
    kept = [found for found in kept if found]
    if not kept:
        return Interval(math.nan, math.nan, math.nan, 0)
    counts = np.array([len(found) for found in kept])
    table = np.full((len(kept), counts.max()), np.nan)
    for row, found in zip(table, kept):
        row[: len(found)] = found
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, len(kept), (draws, len(kept)))
    means = np.zeros(clips.shape)
    for _ in range(counts.max()):  # one seed of a clip is drawn as often as there are seeds, then averaged
        means += table[clips, (rng.random(clips.shape) * counts[clips]).astype(int)]
    low, high = np.quantile((means / counts.max()).mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    centre = float(np.mean([np.mean(found) for found in kept]))
    return Interval(centre, float(low), float(high), len(kept))


def paired_interval(values: SeedValues, base: SeedValues, **options: float) -> Interval:
    """Mean difference of a method from another, clip by clip, with its interval.

    A seed is compared with the same seed of the other method, or with the mean of its seeds if it has no such one.
    Clips that only one of them has are left out.
    """
    gaps: dict[str, dict[int, float]] = {}
    means = mean_of_seeds(base)
    for clip, seeds in values.items():
        if clip in means:
            gaps[clip] = {seed: value - _of_seed(base[clip], seed, means[clip]) for seed, value in seeds.items()}
    return seed_interval(gaps, **options)  # type: ignore[arg-type]


def _of_seed(seeds: Mapping[int, float], seed: int, mean: float) -> float:
    value = seeds.get(seed, mean)
    return mean if math.isnan(value) else value


def mean_ranks(scores: Sequence[tuple[bool, Mapping[str, SeedValues]]]) -> dict[str, float]:
    """Mean rank of each method over scores and clips, 1 = best; equal values share a rank.

    Args:
      scores: whether higher is better, and the values by method, of each score. Clips that not all methods have are
        left out.

    Returns:
      Ranks by method; empty if no clip has all methods.
    """
    ranks: dict[str, list[float]] = {}
    for higher, by_method in scores:
        means = {method: mean_of_seeds(values) for method, values in by_method.items()}
        if not means:
            continue
        for clip in sorted(set.intersection(*(set(found) for found in means.values()))):
            methods = list(means)
            values = np.array([means[method][clip] for method in methods])
            values = -values if higher else values
            places = [1 + (values < v).sum() + ((values == v).sum() - 1) / 2 for v in values]
            for method, place in zip(methods, places):
                ranks.setdefault(method, []).append(float(place))
    return {method: float(np.mean(found)) for method, found in ranks.items()}
