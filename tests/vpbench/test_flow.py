"""Flow propagation: what other frames show is carried into the hole."""

import cv2
import numpy as np
import pytest

from vp_jax.vpbench.flow import propagated


def textured(height, width):
    noise_HWC = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise_HWC, (0, 0), 2.0)


def moving_hole(frames=6, height=64, width=96):
    """A still wall, and a hole that moves by more than its width between the first and the last frame."""
    frames_FHWC = np.repeat(textured(height, width)[None], frames, axis=0)
    holes_FHW = np.zeros((frames, height, width), bool)
    for frame in range(frames):
        holes_FHW[frame, 20:36, 8 + 12 * frame : 24 + 12 * frame] = True
    return frames_FHWC, holes_FHW


@pytest.mark.slow
def test_a_still_wall_behind_a_moving_hole_is_recovered():
    frames_FHWC, holes_FHW = moving_hole()
    hidden_FHWC = np.where(holes_FHW[..., None], 0, frames_FHWC).astype(np.uint8)
    filled_FHWC, left_FHW = propagated(hidden_FHWC, holes_FHW)
    assert left_FHW.sum() < 0.2 * holes_FHW.sum()
    seen_FHW = holes_FHW & ~left_FHW
    assert np.abs(filled_FHWC[seen_FHW].astype(int) - frames_FHWC[seen_FHW]).mean() < 8
    np.testing.assert_array_equal(filled_FHWC[~holes_FHW], hidden_FHWC[~holes_FHW])


def test_a_panning_camera_shows_what_a_fixed_hole_hides():
    wall_HWC = textured(64, 160)
    frames_FHWC = np.stack([wall_HWC[:, 4 * frame : 4 * frame + 96] for frame in range(10)])
    holes_FHW = np.zeros(frames_FHWC.shape[:3], bool)
    holes_FHW[:, 24:40, 40:56] = True
    filled_FHWC, left_FHW = propagated(frames_FHWC, holes_FHW)
    seen_FHW = holes_FHW & ~left_FHW
    assert seen_FHW.sum() > 0.5 * holes_FHW.sum()
    assert np.abs(filled_FHWC[seen_FHW].astype(int) - frames_FHWC[seen_FHW]).mean() < 12


def test_what_nobody_has_seen_is_left():
    frames_FHWC = np.repeat(textured(32, 48)[None], 3, axis=0)
    holes_FHW = np.zeros((3, 32, 48), bool)
    holes_FHW[:, 8:20, 8:20] = True
    filled_FHWC, left_FHW = propagated(frames_FHWC, holes_FHW)
    np.testing.assert_array_equal(left_FHW, holes_FHW)
    np.testing.assert_array_equal(filled_FHWC, frames_FHWC)


def test_one_frame_has_nothing_to_carry():
    frames_FHWC, holes_FHW = textured(32, 48)[None], np.zeros((1, 32, 48), bool)
    holes_FHW[:, 8:20, 8:20] = True
    assert propagated(frames_FHWC, holes_FHW)[1].sum() == 144
