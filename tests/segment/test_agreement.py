import numpy as np

from vp_jax.segment.agreement import contour_f, region_j


def at(x, size=16):
    mask_HW = np.zeros((60, 90), bool)
    mask_HW[20 : 20 + size, x : x + size] = True
    return mask_HW


def test_equal_masks_agree_and_separate_ones_do_not():
    assert region_j(at(10), at(10)) == contour_f(at(10), at(10)) == 1
    assert region_j(at(10), at(50)) == contour_f(at(10), at(50)) == 0
    nothing = np.zeros((60, 90), bool)
    assert region_j(nothing, nothing) == contour_f(nothing, nothing) == 1
    assert region_j(at(10), nothing) == contour_f(at(10), nothing) == 0


def test_j_is_the_share_of_the_union_that_both_have():
    assert region_j(at(10), at(14)) == 12 / 20


def test_f_forgives_an_outline_that_is_one_pixel_away():
    assert contour_f(at(10), at(11)) == 1
    assert 0 < contour_f(at(10), at(14)) < 1
