"""Pixel masks on the latent grid: nearest neighbour in three dimensions, index ``floor(i * in / out)`` along each axis.

Of 49 frames it picks 0, 3, 7, 11, 15, 18 ... and of every 8x8 cell the top-left pixel, as in the training of the
released weights (docs/model.md, "Mask-selective injection").
"""

from __future__ import annotations

import jax

from vp_jax.shapes import latent_grid, nearest_index


def mask_to_latent(mask_BFHW: jax.Array) -> jax.Array:
    """Pick the values of a mask (B, F, H, W) on the latent grid (B, T, h, w)."""
    _, F, H, W = mask_BFHW.shape
    T, h, w = latent_grid(F, H, W)
    return mask_BFHW[:, nearest_index(F, T)][:, :, nearest_index(H, h)][:, :, :, nearest_index(W, w)]
