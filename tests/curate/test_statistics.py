"""Statistics of a thing: area, its change, trembling, and where it is lost."""

import numpy as np
import pytest

from vp_jax.curate.statistics import ThingStatistics


def square(row, column, side):
    mask_HW = np.zeros((30, 40), bool)
    mask_HW[row : row + side, column : column + side] = True
    return mask_HW


def test_a_thing_that_glides_has_no_change_and_no_jitter():
    found = ThingStatistics(4, 8)
    for number in range(4):
        found.add(4 + number, square(5, 5 + 2 * number, 10), 0.5, False)
    values = found.values()
    assert (values["start"], values["stop"], values["lost"], values["confidence"]) == (4, 8, 0, 0.5)
    assert values["area"] == pytest.approx(100 / 1200, abs=1e-6) and values["change"] == values["worst_change"] == 0
    assert values["jitter"] == pytest.approx(0, abs=1e-6)


def test_jumps_of_area_and_place_and_lost_frames_are_measured():
    found = ThingStatistics(0, 5)
    for number, (row, side) in enumerate([(5, 10), (15, 10), (5, 10), (5, 5)]):
        found.add(number, square(row, 5, side), 1.0, False)
    found.add(4, square(0, 0, 0), 0.0, True)
    values = found.values()
    assert values["worst_change"] == pytest.approx(0.75) and values["change"] == pytest.approx(0.25)
    assert values["jitter"] > 0.1 and values["lost"] == pytest.approx(0.2)


def test_a_thing_that_is_never_seen_has_zeros():
    values = ThingStatistics(0, 3).values()
    assert values["area"] == 0 and values["lost"] == 1 and values["confidence"] == 0
