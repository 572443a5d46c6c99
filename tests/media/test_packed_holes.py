"""Holes come back as they were added, as often as they are asked for."""

import numpy as np

from vp_jax.media.packed_holes import PackedHoles


def packed_of(holes_FHW):
    packed = PackedHoles(holes_FHW.shape)
    for hole_HW in holes_FHW:
        packed.add(hole_HW)
    return packed


def test_holes_come_back_in_any_order():
    holes_FHW = np.random.default_rng(0).random((5, 7, 11)) < 0.5
    packed = packed_of(holes_FHW)
    assert packed.shape == (5, 7, 11)
    np.testing.assert_array_equal(np.stack(list(packed)), holes_FHW)
    np.testing.assert_array_equal(np.stack([packed[number] for number in (3, 0, 4)]), holes_FHW[[3, 0, 4]])
    np.testing.assert_array_equal(np.stack(list(packed[1:3].again())), holes_FHW[1:3])


def test_a_hole_that_stands_still_is_held_once():
    hole_HW = np.eye(6, 9, dtype=bool)
    packed = packed_of(np.stack([hole_HW] * 4 + [~hole_HW] * 3))
    assert len({id(content) for content in packed._packed}) == 2
    np.testing.assert_array_equal(packed[6], ~hole_HW)
    np.testing.assert_array_equal(packed[2], hole_HW)


def test_a_hole_cannot_be_changed_through_what_was_read():
    packed = packed_of(np.zeros((2, 4, 4), bool))
    packed.add(np.ones((4, 4), bool))
    assert not packed[0].flags.writeable
