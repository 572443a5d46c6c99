import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.segment.refine import Refinement, fill_enclosed, grow, outline_of, shrink, smooth_in_time


def square(size=12, low=4, high=8):
    mask_HW = np.zeros((size, size), bool)
    mask_HW[low:high, low:high] = True
    return mask_HW


def test_growing_adds_pixels_on_each_side_and_shrinking_takes_them_off():
    assert np.array_equal(grow(square(), 2), square(low=2, high=10))
    assert np.array_equal(shrink(square(low=2, high=10), 2), square())
    assert np.array_equal(shrink(np.ones((5, 5), bool), 1), np.ones((5, 5), bool)), "the rim takes nothing off"
    assert not shrink(square(), 2).any()


def test_what_a_thing_encloses_is_filled():
    ring = square(low=2, high=10) & ~square()
    assert np.array_equal(fill_enclosed(ring), square(low=2, high=10))
    open_ring = ring.copy()
    open_ring[:, 5] = False
    assert np.array_equal(fill_enclosed(open_ring), open_ring)


@pytest.mark.parametrize("reach", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_smoothing_is_the_majority_of_neighbours_in_time(reach, count):
    masks = np.random.default_rng(count).random((count, 4, 5)) > 0.5
    found = list(smooth_in_time(iter(masks), reach))
    assert len(found) == count
    for number, mask_HW in enumerate(found):
        near = masks[max(0, number - reach) : number + reach + 1]
        votes = 2 * near.sum(axis=0) - len(near)
        assert np.array_equal(mask_HW, np.where(votes == 0, masks[number], votes > 0))


def test_a_flicker_of_one_frame_is_smoothed_away():
    masks = [square()] * 3 + [np.zeros((12, 12), bool)] + [square()] * 3
    assert all(np.array_equal(mask, square()) for mask in smooth_in_time(masks, 1))


def test_everything_is_applied_in_its_order():
    found = list(Refinement(shrink=1, grow=2, invert=True).applied([square()] * 2))
    assert len(found) == 2 and np.array_equal(~found[0], square(low=3, high=9))
    assert np.array_equal(next(iter(Refinement().applied([square()]))), square())


def test_numbers_out_of_their_range_are_refused():
    with pytest.raises(UserError, match="grow -1: expected 0"):
        Refinement(grow=-1)


def test_the_outline_is_inside_the_mask():
    assert outline_of(square()).sum() == 12 and not (outline_of(square()) & ~square()).any()
