"""Jumps at seams, flicker and drift of colour are found where they are, and nowhere else."""

import math

import numpy as np
import pytest

from vp_jax.eval.continuity import ContinuityMeter, continuity_of

STARTS, OVERLAP = (0, 12, 24), 5
SHAPE = (37, 24, 32, 3)


@pytest.fixture
def clip():
    """Noise of known size in a hole that rests."""
    rng = np.random.default_rng(0)
    result = np.full(SHAPE, 100, np.uint8)
    result[:, 4:20, 4:28] += rng.integers(0, 5, (37, 16, 24, 3), np.uint8)
    holes = np.zeros(SHAPE[:3], bool)
    holes[:, 4:20, 4:28] = True
    return result, holes


def test_an_even_video_has_no_seams(clip):
    found = continuity_of(*clip, STARTS, OVERLAP)
    assert 1.4 < found.flicker < 1.8  # mean distance of two of five values: 1.6
    assert math.isnan(found.change_F[0]) and math.isnan(found.seam_K[0])
    assert found.seam_jump == pytest.approx(1, abs=0.05)
    assert found.colour_drift < 0.2


def test_a_jump_at_a_seam_counts_there_and_one_elsewhere_does_not(clip):
    result, holes = clip
    at_seam, elsewhere = result.copy(), result.copy()
    at_seam[26:, 4:20, 4:28] += 40
    elsewhere[20:22, 4:20, 4:28] += 40
    found = continuity_of(at_seam, holes, STARTS, OVERLAP)
    assert found.seam_K[2] == pytest.approx(40 / found.flicker, rel=0.7) and found.seam_K[2] > 20
    assert found.seam_K[1] == pytest.approx(1, abs=0.05)
    assert continuity_of(elsewhere, holes, STARTS, OVERLAP).seam_jump == pytest.approx(1, abs=0.05)


def test_drift_is_the_distance_from_the_first_window(clip):
    result, holes = clip
    result[12:24, ..., 0] += 30
    result[24:, ..., 1] += 40
    assert continuity_of(result, holes, STARTS, OVERLAP).colour_drift == pytest.approx(35, abs=0.5)


def test_motion_of_the_truth_is_no_flicker_and_its_colour_no_drift(clip):
    result, holes = clip
    truth = np.random.default_rng(1).integers(0, 200, SHAPE, np.uint8)
    moved = truth + result - 100
    found = continuity_of(moved, holes, STARTS, OVERLAP, truth)
    assert found.flicker < 2 and found.colour_drift < 0.3
    assert continuity_of(moved, holes, STARTS, OVERLAP).flicker > 50


def test_what_lies_outside_the_hole_is_not_measured(clip):
    result, holes = clip
    other = result.copy()
    other[~holes] = np.random.default_rng(2).integers(0, 256, ((~holes).sum(), 3))
    for a, b in zip(continuity_of(result, holes, STARTS, OVERLAP), continuity_of(other, holes, STARTS, OVERLAP)):
        np.testing.assert_array_equal(a, b)


def test_a_single_window_and_frames_without_a_hole_have_no_numbers(clip):
    result, holes = clip
    assert math.isnan(continuity_of(result, holes, (0,), 0).seam_jump)
    assert math.isnan(continuity_of(result, holes, (0,), 0).colour_drift)
    nothing = continuity_of(result, np.zeros_like(holes), STARTS, OVERLAP)
    assert all(math.isnan(value) for value in nothing[3:])


def test_frames_may_come_one_by_one(clip):
    result, holes = clip
    meter = ContinuityMeter(STARTS, OVERLAP)
    for frame, hole in zip(result, holes):
        meter.add(frame, hole)
    assert meter.result.flicker == continuity_of(result, holes, STARTS, OVERLAP).flicker
