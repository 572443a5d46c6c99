import numpy as np
import pytest

from vp_jax.segment import views
from vp_jax.segment.views import View, with_neighbours


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_each_frame_comes_with_its_neighbours(count):
    seen = []
    for window in with_neighbours((np.full((4, 4, 3), n, np.uint8) for n in range(count)), 2):
        assert window.views[window.now.number] is window.now
        expected = set(range(max(0, window.now.number - 2), min(count, window.now.number + 3)))
        assert set(window.views) == expected
        seen.append(window.now.number)
    assert seen == list(range(count))


def test_no_more_frames_are_held_than_the_window_has():
    read = []

    def frames():
        for number in range(50):
            read.append(number)
            yield np.zeros((4, 4, 3), np.uint8)

    for window in with_neighbours(frames(), 3):
        assert len(window.views) <= 7 and len(read) <= window.now.number + 4


def test_a_large_frame_is_reduced_and_its_mask_enlarged(monkeypatch):
    monkeypatch.setattr(views, "WORKING_PIXELS", 1200)
    view = View(0, np.zeros((60, 80, 3), np.uint8))
    assert view.size == (30, 40) and view.scale == 0.5
    small_HW = np.zeros((30, 40))
    small_HW[10:20, 10:20] = 1
    large_HW = view.enlarged(small_HW)
    assert large_HW.shape == (60, 80) and large_HW[20:40, 20:40].all() and large_HW.sum() == 400


def test_a_small_frame_stays_as_it_is():
    view = View(3, np.full((20, 30, 3), 255, np.uint8))
    assert view.size == (20, 30) and view.scale == 1 and view.grey_HW.min() == 255 and view.lab_HWC[0, 0, 0] == 255
