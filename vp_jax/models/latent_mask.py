"""Pixel masks on the latent grid: nearest neighbour in three dimensions, index ``floor(i * in / out)`` per axis.

For 49 frames it picks frames 0, 3, 7, 11, 15, 18 ... and the top-left pixel of every 8x8 cell, as training did.
"""

from __future__ import annotations

import jax

from vp_jax.shapes import latent_grid, nearest_index


def mask_to_latent(mask_BFHW: jax.Array) -> jax.Array:
    """(B, F, H, W) -> (B, T, h, w), values picked, not averaged."""
    _, F, H, W = mask_BFHW.shape
    T, h, w = latent_grid(F, H, W)
    return mask_BFHW[:, nearest_index(F, T)][:, :, nearest_index(H, h)][:, :, :, nearest_index(W, w)]
