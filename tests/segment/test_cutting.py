import cv2
import numpy as np
import pytest

from tests.segment.shapes_film import BLUE, RED, film
from vp_jax.segment.agreement import region_j
from vp_jax.segment.cutting import first_cut, trimap_of
from vp_jax.segment.prompts import Box, FirstMask, Point, Scribble

PICTURES, MASKS = film((RED, 30, 30, 0, 0), (BLUE, 66, 30, 0, 0), frames=1)
FRAME, (RED_HW, BLUE_HW) = PICTURES[0], MASKS[0]


@pytest.mark.parametrize(
    "prompts",
    [
        [Box(18, 18, 25, 25)],
        [Point(30, 30), Point(66, 30, inside=False)],
        [Scribble(np.array([[25, 30], [35, 31]]))],
        [Box(0, 0, 60, 60), Point(30, 30)],
    ],
    ids=["box", "points", "scribble", "box and point"],
)
def test_a_disc_is_cut_out(prompts):
    assert region_j(first_cut(FRAME, prompts, []), RED_HW) > 0.9


def test_a_mask_is_taken_as_it_is():
    assert np.array_equal(first_cut(FRAME, [Point(66, 30), FirstMask(RED_HW)], []), RED_HW)


def test_points_of_other_things_are_not_part_of_this_one():
    trimap_HW = trimap_of((60, 90), [Box(0, 0, 90, 60)], [Point(66, 30, thing=2)], None)
    assert trimap_HW[30, 66] == cv2.GC_BGD and trimap_HW[30, 30] == cv2.GC_PR_FGD


def test_a_correction_leaves_what_is_far_from_it():
    both_HW = RED_HW | BLUE_HW
    corrected_HW = first_cut(FRAME, [Point(66, 30, inside=False)], [], both_HW)
    assert region_j(corrected_HW & (np.arange(90) < 48), RED_HW) == 1
    assert not corrected_HW[30, 66]
    assert first_cut(FRAME, [Point(66, 30)], [], RED_HW)[30, 66]


def test_equal_input_gives_equal_masks():
    first, second = (first_cut(FRAME, [Box(18, 18, 25, 25)], []) for _ in range(2))
    assert np.array_equal(first, second)
