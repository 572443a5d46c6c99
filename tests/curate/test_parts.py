"""Parts: what looks like a thing has a higher score than what looks like ground."""

import cv2
import numpy as np
import pytest

from vp_jax.curate.motion import Motion
from vp_jax.curate.parts import PicturePart, connected_parts, ring_of, score_of, told_by_colour

SIZE = 96, 128


def part(rows, columns):
    mask_HW = np.zeros(SIZE, bool)
    mask_HW[rows, columns] = True
    return part_of(mask_HW)


def part_of(mask_HW):
    return PicturePart(mask_HW, cv2.boundingRect(mask_HW.astype(np.uint8)))


def picture(*coloured):
    """Lab of a grey picture with parts in colours."""
    lab_HWC = np.full((*SIZE, 3), 128, np.float32)
    for one, colour in coloured:
        lab_HWC[one.mask_HW] = colour
    return lab_HWC


def motion_of(moved, by=4.0, change=30.0):
    flow_HW2, change_HW = np.zeros((*SIZE, 2), np.float32), np.full(SIZE, 1, np.float32)
    flow_HW2[moved.mask_HW] = by
    change_HW[moved.mask_HW] = change
    return Motion(flow_HW2, change_HW)


MIDDLE = part(slice(30, 60), slice(40, 80))
RED, BLUE = (120, 200, 180), (60, 120, 60)


def test_parts_are_connected_and_no_specks():
    mask_HW = MIDDLE.mask_HW.copy()
    mask_HW[5:8, 5:8] = mask_HW[80:90, 10:30] = True
    assert sorted(found.box for found in connected_parts(mask_HW)) == [(10, 80, 20, 10), (40, 30, 40, 30)]


def test_motion_and_colour_both_raise_the_score():
    plain, red, still = picture(), picture((MIDDLE, RED)), motion_of(MIDDLE, 0, 1)
    scores = [score_of(MIDDLE, *given) for given in ((plain, still), (red, still), (red, motion_of(MIDDLE)))]
    assert scores == sorted(scores) and scores[0] < 0.5 * scores[1] and scores[1] < 0.5 * scores[2]
    assert score_of(MIDDLE, red, None) == pytest.approx(scores[1]) and 0 < scores[2] < 1


def test_flow_where_the_picture_does_not_change_counts_for_little():
    red = picture((MIDDLE, RED))
    assert score_of(MIDDLE, red, motion_of(MIDDLE, change=0.5)) < 0.6 * score_of(MIDDLE, red, motion_of(MIDDLE))


def test_what_touches_borders_is_rather_ground():
    one, two, three = (
        part(slice(0, 40), slice(40, 80)),
        part(slice(0, 40), slice(0, 40)),
        part(slice(0, 40), slice(128)),
    )
    scores = [score_of(each, picture((each, RED)), motion_of(each)) for each in (MIDDLE, one, two, three)]
    assert scores == sorted(scores, reverse=True) and scores[3] < 0.05 * scores[0]


def test_two_things_that_touch_count_less_than_one_of_them():
    both_HW = MIDDLE.mask_HW.copy()
    both_HW[60:90, 80:110] = True
    both_HW[58:62, 76:84] = True
    both = part_of(both_HW)
    lab_HWC, motion = picture((both, RED)), motion_of(both)
    assert score_of(both, lab_HWC, motion) < score_of(MIDDLE, lab_HWC, motion)


def test_a_moving_part_is_freed_from_the_ground_at_its_rim():
    wide = part(slice(22, 68), slice(32, 88))
    (found,) = told_by_colour(wide, picture((MIDDLE, BLUE)))
    assert np.abs(np.subtract(found.box, MIDDLE.box)).max() <= 2 and (found.mask_HW | ~MIDDLE.mask_HW).all()
    assert list(told_by_colour(wide, picture())) == [], "nothing is left where all has one colour"


def test_the_ring_is_around_the_part():
    ring_HW = ring_of(MIDDLE.mask_HW)
    assert not (ring_HW & MIDDLE.mask_HW).any() and ring_HW[25, 60] and not ring_HW[10, 60]


def test_a_part_that_leaves_no_surroundings_has_no_score():
    assert score_of(part(slice(None), slice(None)), picture(), None) == 0
