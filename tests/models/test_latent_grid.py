"""Masks on the latent grid against torch's nearest interpolation, and holes grown to complete cells."""

import numpy as np
import pytest
import torch

from vp_jax.models.latent_grid import cover_cells, masks_to_latent_grid
from vp_jax.models.latent_mask import mask_to_latent


@pytest.mark.parametrize("frames", [1, 17, 49])
def test_covered_cells_leave_no_half_hole_on_the_latent_grid(frames):
    """Every pixel of a hole lies in a cell that the latent mask calls hole, and the other way round."""
    holes_FHW = np.random.default_rng(frames).random((frames, 32, 48)) > 0.997
    holes_FHW[0] = False
    covered_FHW = cover_cells(holes_FHW)
    assert not (holes_FHW & ~covered_FHW).any() and not covered_FHW[0].any()
    mask_Thw = np.asarray(mask_to_latent(covered_FHW[None].astype(np.float32)))[0] > 0
    group_F = (np.arange(frames) + 3) // 4
    np.testing.assert_array_equal(mask_Thw[group_F].repeat(8, 1).repeat(8, 2), covered_FHW)
    touched = [
        holes_FHW[group_F == t, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].any()
        for t, row, column in np.ndindex(mask_Thw.shape)
    ]
    np.testing.assert_array_equal(mask_Thw.reshape(-1), touched)


def test_masks_on_the_latent_grid_equal_nearest_interpolation():
    masks_FHW = (np.random.default_rng(0).random((49, 48, 72)) < 0.5).astype(np.uint8)
    want = torch.nn.functional.interpolate(torch.from_numpy(masks_FHW)[None, None].float(), (13, 6, 9), mode="nearest")
    np.testing.assert_array_equal(masks_to_latent_grid(masks_FHW), want[0, 0].numpy())
    numbers = np.arange(49)[:, None, None] * np.ones((1, 8, 8), int)
    picked = [0, 3, 7, 11, 15, 18, 22, 26, 30, 33, 37, 41, 45]
    np.testing.assert_array_equal(masks_to_latent_grid(numbers)[:, 0, 0], picked)
