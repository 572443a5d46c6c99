"""Fillings without a model."""

import numpy as np
import pytest

from vp_jax.vpbench.baselines import BASELINES
from vp_jax.vpbench.drawn import drawn_clips


@pytest.fixture(scope="module")
def clip():
    return drawn_clips(1, groups=("fill",), size=(32, 48), frames=5)[0].open()


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_a_filling_touches_the_hole_alone(name, clip):
    filled_FHWC = BASELINES[name](clip.frames_FHWC, clip.holes_FHW)
    assert filled_FHWC.dtype == np.uint8 and filled_FHWC.shape == clip.frames_FHWC.shape
    np.testing.assert_array_equal(filled_FHWC[~clip.holes_FHW], clip.frames_FHWC[~clip.holes_FHW])
    assert (filled_FHWC[clip.holes_FHW] != clip.frames_FHWC[clip.holes_FHW]).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", BASELINES)
def test_a_filling_does_not_see_the_hole(name, clip):
    other_FHWC = clip.frames_FHWC.copy()
    other_FHWC[clip.holes_FHW] = 0
    first_FHWC, second_FHWC = (BASELINES[name](x, clip.holes_FHW) for x in (clip.frames_FHWC, other_FHWC))
    np.testing.assert_array_equal(first_FHWC, second_FHWC)


@pytest.mark.parametrize("name", BASELINES)
def test_a_plain_wall_is_filled_with_its_colour(name):
    frames_FHWC = np.full((3, 32, 48, 3), (200, 90, 10), np.uint8)
    holes_FHW = np.zeros((3, 32, 48), bool)
    holes_FHW[:, 10:20, 10:30] = True
    filled_FHWC = BASELINES[name](frames_FHWC, holes_FHW)
    assert np.abs(filled_FHWC.astype(int) - frames_FHWC).max() <= 2, "OpenCV rounds on the way"


def test_stretching_continues_a_ramp():
    ramp_W = np.arange(48) * 5
    frames_FHWC = np.broadcast_to(ramp_W[None, None, :, None], (1, 32, 48, 3)).astype(np.uint8)
    holes_FHW = np.zeros((1, 32, 48), bool)
    holes_FHW[:, 4:9, 10:40] = True
    np.testing.assert_array_equal(BASELINES["stretched"](frames_FHWC, holes_FHW), frames_FHWC)


def test_the_first_frame_is_carried_from_box_to_box_where_it_is_known():
    frames_FHWC = np.full((2, 32, 48, 3), 50, np.uint8)
    frames_FHWC[0, 8:16, 8:16] = 250
    holes_FHW = np.zeros((2, 32, 48), bool)
    holes_FHW[1, 8:16, 8:16] = True
    assert (BASELINES["stretched_frame"](frames_FHWC, holes_FHW)[1, 8:16, 8:16] == 250).all()
    holes_FHW[0] = holes_FHW[1]
    assert (BASELINES["stretched_frame"](frames_FHWC, holes_FHW) == 50).all(), "what a hole hides is not read"


@pytest.mark.parametrize("name", BASELINES)
def test_frames_that_are_hole_everywhere_do_not_stop_a_filling(name):
    frames_FHWC = np.full((2, 32, 48, 3), 50, np.uint8)
    assert BASELINES[name](frames_FHWC, np.ones((2, 32, 48), bool)).shape == frames_FHWC.shape
