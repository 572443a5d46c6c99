"""Morphology equals OpenCV's pixel for pixel, even kernels included."""

import cv2
import numpy as np
import pytest

from vp_jax.data.morphology import opencv_dilate, opencv_erode, smooth


def masks(seed: int):
    """Boxes and noise of many sizes, touching borders or not, and an empty mask."""
    rng = np.random.default_rng(seed)
    yield np.zeros((40, 30), np.uint8)
    for number in range(24):
        H, W = rng.integers(5, 160, size=2)
        mask_HW = np.zeros((H, W), np.uint8)
        for _ in range(3):
            y, x = rng.integers(0, H), rng.integers(0, W)
            mask_HW[y : y + rng.integers(1, 90), x : x + rng.integers(1, 90)] = 1
        yield (rng.random((H, W)) < rng.random()).astype(np.uint8) if number % 3 == 0 else mask_HW


@pytest.mark.parametrize("size", [32, 31, 16, 5, 2, 1])
def test_dilation_and_erosion_equal_opencv(size):
    kernel = np.ones((size, size), np.uint8)
    for mask_HW in masks(size):
        np.testing.assert_array_equal(opencv_dilate(mask_HW, size), cv2.dilate(mask_HW, kernel))
        np.testing.assert_array_equal(opencv_erode(mask_HW, size), cv2.erode(mask_HW, kernel))


def test_smoothing_equals_opencv():
    for mask_HW in masks(0):
        np.testing.assert_array_equal(smooth(mask_HW), cv2.GaussianBlur(mask_HW, (3, 3), 0) > 0.5)


def test_even_kernel_grows_off_centre():
    """15 pixels to the left and top, 16 to the right and bottom; a closing is shifted by one."""
    mask_HW = np.zeros((100, 100), np.uint8)
    mask_HW[40:60, 40:60] = 1
    grown = np.zeros_like(mask_HW)
    grown[25:76, 25:76] = 1
    np.testing.assert_array_equal(opencv_dilate(mask_HW), grown)
    np.testing.assert_array_equal(opencv_erode(opencv_dilate(mask_HW)), np.roll(mask_HW, (1, 1), (0, 1)))


def test_opening_deletes_what_is_thinner_than_the_kernel():
    mask_HW = np.zeros((100, 100), np.uint8)
    mask_HW[20:80, 40:70] = 1
    assert not opencv_dilate(opencv_erode(mask_HW)).any()
