"""Measures of pictures: each sees its fault and nothing else."""

import cv2
import numpy as np
import pytest

from vp_jax.curate.measures import (
    black_bars,
    clip_measures,
    clipped,
    difference_hash,
    largest_change,
    measured_picture,
    motion,
    sharpness,
)


@pytest.fixture(scope="module")
def textured():
    noise = np.random.default_rng(3).integers(30, 220, (60, 90), np.uint8)
    return cv2.GaussianBlur(cv2.resize(noise, (180, 120), interpolation=cv2.INTER_CUBIC), (5, 5), 0)


def test_a_picture_is_grey_and_has_120_rows_at_most():
    assert measured_picture(np.zeros((480, 720, 3), np.uint8)).shape == (120, 180)
    assert measured_picture(np.zeros((48, 72, 3), np.uint8)).shape == (48, 72)


def test_hashes_of_a_scaled_and_brighter_copy_are_near_and_others_far(textured):
    def bits(other):
        return (int(difference_hash(textured), 16) ^ int(difference_hash(other), 16)).bit_count()

    smaller = cv2.resize(textured, (90, 60), interpolation=cv2.INTER_AREA)
    assert bits(smaller) <= 3 and bits(cv2.convertScaleAbs(textured, alpha=1, beta=10)) <= 3
    assert bits(textured[:, ::-1]) > 15


def test_a_still_picture_does_not_change(textured):
    assert largest_change([textured, textured]) == 0 < largest_change([textured, np.roll(textured, 3, 1)])


@pytest.mark.parametrize("rows, columns, share", [(12, 0, 0.2), (0, 9, 0.1), (12, 9, 0.3), (0, 0, 0.0)])
def test_bars_at_opposite_borders_are_measured(textured, rows, columns, share):
    barred = textured.copy()
    barred[:rows], barred[120 - rows :] = 0, 0
    barred[:, :columns], barred[:, 180 - columns :] = 5, 5
    assert black_bars([barred, barred]) == pytest.approx(share)


def test_a_black_border_on_one_side_and_a_black_picture_are_no_bars(textured):
    half = textured.copy()
    half[:30] = 0
    assert black_bars([half]) == 0 == black_bars([np.zeros_like(half)])


def test_blur_lowers_sharpness_and_clipping_is_a_share(textured):
    assert sharpness(cv2.GaussianBlur(textured, (15, 15), 0)) < sharpness(textured) / 4
    half = textured.copy()
    half[:60] = 255
    assert clipped(textured) == 0 and clipped(half) == pytest.approx(0.5, abs=0.01)


def test_motion_is_in_widths_a_second(textured):
    moved = np.roll(textured, 3, axis=1)
    assert motion(textured, moved, 0.5) == pytest.approx(3 / 180 / 0.5, rel=0.15)
    assert motion(textured, textured, 0.5) < 1e-3
    assert motion(textured[:8, :8], textured[:8, :8], 1.0) == 0


def test_scores_have_all_names(textured):
    scores = clip_measures([textured, textured], [], 0.1)
    assert {*scores} == {"motion", "sharpness", "brightness", "clipped", "black_bars", "change"}
