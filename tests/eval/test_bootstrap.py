"""Bootstrap intervals: their width, what is left out, and that they repeat."""

import math

import numpy as np
import pytest

from vp_jax.eval.bootstrap import interval


def test_interval_covers_and_leaves_nans_out():
    values = np.random.default_rng(0).normal(5, 2, 100)
    found = interval([*values, math.nan])
    assert found.mean == pytest.approx(values.mean()) and found.clips == 100
    error = values.std() / 10
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1)
    assert interval([3.0]) == (3, 3, 3, 1) and math.isnan(interval([math.nan]).mean)
    assert interval(values) == interval(values)


def test_a_wider_level_has_wider_bounds_and_both_hold_the_mean():
    values = np.random.default_rng(1).exponential(2, 60).tolist()
    wide, narrow = interval(values, level=0.99), interval(values, level=0.5)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high and wide.mean == narrow.mean


def test_bounds_hold_the_true_mean_as_often_as_they_say():
    """Over 300 samples of 40 draws: 90 %, less a little that a bootstrap of a few values is known to lack."""
    rng = np.random.default_rng(2)
    found = [interval(rng.normal(1, 1, 40).tolist(), level=0.9, draws=400, seed=seed) for seed in range(300)]
    assert 0.83 < np.mean([bound.low <= 1 <= bound.high for bound in found]) < 0.95


def test_equal_values_leave_no_doubt_and_none_leaves_nothing():
    assert interval([2.5] * 7) == (2.5, 2.5, 2.5, 7)
    assert interval([]).clips == 0 and math.isnan(interval([]).low)
