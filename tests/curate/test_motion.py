"""Motion against the camera: a camera that pans and turns moves nothing, a thing on its own does."""

import cv2
import numpy as np
import pytest

from vp_jax.curate.motion import camera_flow, motion_between


@pytest.fixture(scope="module")
def ground():
    noise = np.random.default_rng(1).integers(40, 200, (60, 90, 3), np.uint8)
    return cv2.resize(noise, (270, 180), interpolation=cv2.INTER_CUBIC)


def seen(ground, angle, thing_at):
    """What a camera sees that is turned by an angle, with a patch of the ground laid over it somewhere else."""
    turn = cv2.getRotationMatrix2D((135, 90), angle, 1.02)
    picture = cv2.warpAffine(ground, turn, (270, 180), borderMode=cv2.BORDER_REFLECT)[30:150, 50:210].copy()
    x = thing_at
    picture[40:80, x : x + 40] = ground[:40, :40]
    return picture


def test_a_camera_that_turns_and_zooms_moves_nothing_but_the_thing(ground):
    motion = motion_between(seen(ground, 0.0, 60), seen(ground, 1.5, 65))
    speed_HW = np.linalg.norm(motion.flow_HW2, axis=-1)
    outside_HW = np.ones_like(speed_HW, bool)
    outside_HW[30:90, 50:110] = False
    assert np.percentile(speed_HW[8:-8, 8:-8][outside_HW[8:-8, 8:-8]], 95) < 0.6
    assert np.median(speed_HW[44:76, 64:96]) > 3
    assert motion.change_HW[44:76, 64:96].mean() > 2 * motion.change_HW[10:-10, 120:150].mean()


def test_the_flow_of_a_homography_is_found_though_a_part_differs():
    matrix = np.array([[1.01, 0.02, 1.5], [-0.01, 0.99, -2], [1e-5, 0, 1]])
    places = np.stack(np.meshgrid(np.arange(96.0), np.arange(64.0)), axis=-1).astype(np.float32)
    true_HW2 = cv2.perspectiveTransform(places.reshape(-1, 1, 2), matrix).reshape(places.shape) - places
    flow_HW2 = true_HW2.copy()
    flow_HW2[10:40, 20:50] += 6
    np.testing.assert_allclose(camera_flow(flow_HW2), true_HW2, atol=0.1)


def test_without_enough_places_the_median_is_the_camera():
    flow_HW2 = np.zeros((16, 16, 2), np.float32)
    flow_HW2[..., 0] = 3
    assert np.array_equal(camera_flow(flow_HW2), flow_HW2)
