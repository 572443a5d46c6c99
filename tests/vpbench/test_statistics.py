"""Bootstrap over clips and seeds, paired differences, ranks."""

import math

import numpy as np
import pytest

from vp_jax.eval.bootstrap import interval
from vp_jax.vpbench.statistics import mean_of_seeds, mean_ranks, paired_interval, seed_interval


def table(values):
    return {f"c{k:03d}": dict(enumerate(seeds)) for k, seeds in enumerate(values)}


def test_the_centre_weighs_clips_equally_and_leaves_nan_out():
    found = seed_interval({"a": {0: 1.0, 1: 3.0}, "b": {0: 5.0}, "c": {0: math.nan}})
    assert (found.mean, found.clips) == (3.5, 2) and 1 <= found.low <= 3.5 <= found.high <= 5
    assert math.isnan(seed_interval({}).mean) and seed_interval({"a": {0: 2.0}}) == (2, 2, 2, 1)


def test_with_one_seed_it_is_the_bootstrap_over_clips():
    values = np.random.default_rng(0).normal(size=60)
    ours, known = seed_interval(table(values[:, None])), interval(list(values))
    assert ours.mean == pytest.approx(known.mean)
    assert (ours.low, ours.high) == pytest.approx((known.low, known.high), abs=0.03)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Clip effects of 1, seed effects of 2, three seeds: the interval knows that seeds of a clip go together."""
    rng, hits = np.random.default_rng(1), 0
    for trial in range(200):
        values = rng.normal(size=(30, 1)) + 2 * rng.normal(size=(30, 3))
        found = seed_interval(table(values), draws=300, seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.88 <= hits / 200 <= 1.0


def test_a_repeated_seed_does_not_make_an_interval_narrower():
    values = np.random.default_rng(2).normal(size=(20, 1))
    one, many = seed_interval(table(values)), seed_interval(table(np.repeat(values, 10, axis=1)))
    assert many.high - many.low == pytest.approx(one.high - one.low, rel=0.1)


def test_differences_pair_clips_and_seeds():
    rng = np.random.default_rng(3)
    clips = 10 * rng.normal(size=(20, 1))
    ours, base = clips + 0.5 + 0.1 * rng.normal(size=(20, 2)), clips
    found = paired_interval(table(ours), table(base))
    assert 0.4 < found.low < 0.5 < found.high < 0.6, "although clips differ by much more"
    same = {"a": {0: 1.0, 1: 9.0}}
    assert paired_interval(same, same) == (0, 0, 0, 1)
    assert paired_interval({"a": {0: 2.0}, "only": {0: 9.0}}, same).mean == 1, "of the same seed"
    assert paired_interval({"a": {7: 2.0}}, same).mean == -3, "of the mean, where the seed is missing"


def test_ranks_know_the_direction_and_share_ties():
    values = {
        "a": {"x": {0: 3.0}, "y": {0: 1.0}},
        "b": {"x": {0: 2.0}, "y": {0: 1.0}},
        "c": {"x": {0: 1.0}, "y": {0: 0.0}},
    }
    assert mean_ranks([(True, values)]) == {"a": 1.25, "b": 1.75, "c": 3.0}
    assert mean_ranks([(False, values)]) == {"a": 2.75, "b": 2.25, "c": 1.0}
    assert mean_ranks([(True, {"a": {"x": {0: 1.0}}, "b": {"y": {0: 1.0}}})]) == {}
    assert mean_of_seeds({"x": {0: 1.0, 1: 2.0}, "y": {0: math.nan}}) == {"x": 1.5}
