"""The four values of a quad mask."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.media.quadmask import VALUES, encoded_pixels, nearest_values, quadmask


def test_each_region_has_its_value():
    removed_FHW = np.array([[[True, True, False, False]]])
    affected_FHW = np.array([[[False, True, True, False]]])
    assert quadmask(removed_FHW, affected_FHW).tolist() == [[[0, 63, 127, 255]]]
    with pytest.raises(UserError, match="expected the shape of the mask"):
        quadmask(removed_FHW, affected_FHW[..., 1:])


def test_pixels_of_a_lossy_video_are_read_as_the_nearest_value():
    grey_FHW = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    read_FHW = nearest_values(grey_FHW)
    assert set(np.unique(read_FHW)) == set(VALUES.tolist())
    assert read_FHW.ravel()[[0, 31, 32, 63, 94, 96, 190, 192, 255]].tolist() == [0, 0, 63, 63, 63, 127, 127, 255, 255]


def test_what_is_encoded_has_the_range_0_to_1_and_what_is_both_counts_as_removed():
    pixels = encoded_pixels(VALUES.reshape(1, 2, 2))
    assert pixels.shape == (1, 2, 2) and pixels.dtype == np.float32
    np.testing.assert_allclose(pixels.ravel(), [0, 0, 128 / 255, 1], atol=1e-7)
