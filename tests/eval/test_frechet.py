"""Frechet distance against scipy's root of covariances: random, without full rank, and of one clip."""

import math

import numpy as np
import pytest
import scipy.linalg

from vp_jax.eval.frechet import frechet_distance, released_frechet_distance

RNG = np.random.default_rng(0)


def oracle(a, b):
    """Root of the product by scipy, through the symmetric form S_a^(1/2) S_b S_a^(1/2), which is exact for any rank."""
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    inner = np.maximum(np.linalg.eigvalsh(root @ covariances[1] @ root), 0)
    mean = a.mean(0) - b.mean(0)
    return mean @ mean + sum(map(np.trace, covariances)) - 2 * np.sqrt(inner).sum()


@pytest.mark.parametrize("clips", [(60, 60), (40, 75)])
def test_random_features_of_full_rank(clips):
    a, b = (RNG.normal(size=(n, 12)) @ RNG.normal(size=(12, 12)) + shift for n, shift in zip(clips, (0, 0.5)))
    root = scipy.linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
    mean = a.mean(0) - b.mean(0)
    traces = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    expected = mean @ mean + traces - 2 * np.trace(root).real
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert released_frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("clips", [2, 5, 16])
def test_fewer_clips_than_features(clips):
    a, b = RNG.normal(size=(clips, 64)), RNG.normal(size=(clips, 64)) + 0.1
    assert frechet_distance(a, b) == pytest.approx(oracle(a, b), rel=1e-6)


def test_equal_sets_have_no_distance():
    a = RNG.normal(size=(10, 1024))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 1) == pytest.approx(1024, rel=1e-9)


def test_one_clip_has_no_covariance():
    a = RNG.normal(size=(1, 8))
    assert math.isnan(frechet_distance(a, a)) and math.isnan(released_frechet_distance(a, a))
