"""Proposals: boxes of what stands out and of what moves against the camera."""

import numpy as np
import pytest

from vp_jax.curate.proposals import Proposal, overlap_of, propose

LIMITS = {"least_area": 0.01, "most_area": 0.9, "most": 3}


@pytest.fixture
def ground():
    return np.full((120, 160, 3), (90, 110, 100), np.uint8)


def test_what_stands_out_of_the_border_is_boxed(ground):
    ground[30:60, 40:90] = (220, 40, 40)
    (box,) = propose(ground, None, **LIMITS)
    assert overlap_of(box[:4], (40, 30, 50, 30)) > 0.85


def test_what_moves_against_the_camera_is_boxed_though_it_has_the_colours_of_the_ground():
    noise = np.random.default_rng(1).integers(80, 140, (120, 170), np.uint8)
    wide = np.repeat(noise[:, :, None], 3, axis=2)
    before = wide[:, :160].copy()
    after = before.copy()
    after[40:80, 54:104] = before[40:80, 50:100]
    boxes = propose(before, after, **LIMITS)
    assert boxes and overlap_of(boxes[0][:4], (50, 40, 50, 40)) > 0.4
    assert propose(before, wide[:, 3:163].copy(), **LIMITS) == []


def test_boxes_are_limited_in_area_and_number(ground):
    for number in range(5):
        ground[20:40, 8 + 30 * number : 24 + 30 * number] = (220, 40 * number, 40)
    assert len(propose(ground, None, **LIMITS)) == 3
    assert propose(ground, None, **{**LIMITS, "least_area": 0.2}) == []


def test_boxes_are_in_pixels_of_the_frame(ground):
    large = np.repeat(np.repeat(ground, 4, axis=0), 4, axis=1)
    large[160:320, 200:400] = (220, 40, 40)
    (box,) = propose(large, None, **LIMITS)
    assert overlap_of(box[:4], (200, 160, 200, 160)) > 0.85


def test_a_border_without_a_frequent_colour_is_no_fault():
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    propose(noise, noise, **LIMITS)


def test_of_two_things_that_stand_out_the_one_that_moves_comes_first(ground):
    ground[20:50, 20:60] = ground[70:100, 100:140] = (220, 40, 40)
    later = ground.copy()
    later[20:50, 20:60] = (90, 110, 100)
    later[20:50, 24:64] = (220, 40, 40)
    first, second = propose(ground, later, **LIMITS)[:2]
    assert overlap_of(first[:4], (20, 20, 40, 30)) > 0.7 and overlap_of(second[:4], (100, 70, 40, 30)) > 0.7
    assert first.score > second.score


def test_overlap_is_intersection_over_union():
    assert overlap_of((0, 0, 4, 4), (2, 0, 4, 4)) == pytest.approx(8 / 24)
    assert overlap_of(Proposal(0, 0, 4, 4, 1.0), (8, 8, 2, 2)) == 0
