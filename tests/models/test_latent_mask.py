"""Masks on the latent grid."""

import jax.numpy as jnp
import numpy as np

from vp_jax.models.latent_mask import mask_to_latent
from vp_jax.shapes import nearest_index


def test_49_frames_pick_these():
    assert nearest_index(49, 13).tolist() == [0, 3, 7, 11, 15, 18, 22, 26, 30, 33, 37, 41, 45]


def test_the_top_left_pixel_of_each_cell_decides():
    mask = np.zeros((1, 5, 16, 24), np.float32)
    mask[0, 0, 8, 16] = 1
    mask[0, 0, 1, 1] = 1  # not the corner of its cell
    got = np.asarray(mask_to_latent(jnp.asarray(mask)))
    assert got.shape == (1, 2, 2, 3) and got[0, 0, 1, 2] == 1 and got.sum() == 1
