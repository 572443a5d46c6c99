"""Pixel masks and the latent grid, in NumPy: no JAX, so that loader workers and the sampler's host side share it.

A latent cell is 8 x 8 pixels of one latent frame: frame 0, then four frames each. `vp_jax.models.latent_mask` picks the
same pixels under jit.
"""

from __future__ import annotations

import numpy as np

from vp_jax.shapes import SPATIAL_STRIDE, latent_frames, latent_index, nearest_index


def masks_to_latent_grid(masks_FHW: np.ndarray) -> np.ndarray:
    """Masks ... F H W on the latent grid ... T h w by nearest neighbour, as the reference does.

    One frame stands for each group of four and the top-left pixel for each 8 x 8 cell: frames 0, 3, 7, 11 ... of 49.
    """
    F = masks_FHW.shape[-3]
    return masks_FHW[..., nearest_index(F, latent_frames(F)), ::SPATIAL_STRIDE, ::SPATIAL_STRIDE]


def cover_cells(holes_FHW: np.ndarray) -> np.ndarray:
    """Holes grown to complete latent cells.

    The latent mask lets one pixel of a cell decide for all of them. A cell whose other pixels are in the hole would be
    kept as background, black part included: a dark rim.

    Args:
      holes_FHW: bool or {0, 1}, 1 = hole; H and W multiples of 8.
    """
    F, H, W = holes_FHW.shape
    stride = SPATIAL_STRIDE
    cells_Fhw = holes_FHW.reshape(F, H // stride, stride, W // stride, stride).max((2, 4))
    group_F = latent_index(F)
    latent_Thw = np.stack([cells_Fhw[group_F == group].max(0) for group in range(group_F[-1] + 1)])
    result: np.ndarray = latent_Thw[group_F].repeat(stride, axis=1).repeat(stride, axis=2)
    return result
