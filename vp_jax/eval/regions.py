"""Regions of a frame that scores are computed on, from its hole.

    whole    all pixels
    outside  pixels that are not generated: the background, which should not change
    hole     generated pixels
    rim      pixels within `RIM_WIDTH` of the border of the hole, on both sides: where seams show

A score of a region looks at result and truth in that region alone: what either shows elsewhere has no influence.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

WHOLE, OUTSIDE, HOLE, RIM_BAND = "whole", "outside", "hole", "rim"
REGIONS = (WHOLE, OUTSIDE, HOLE, RIM_BAND)

RIM_WIDTH = 8
"""Pixels of the rim on each side of the border of the hole."""


def region(holes_FHW: jax.Array, name: str) -> jax.Array:
    """Pixels of a region, bool (F, H, W)."""
    if name == WHOLE:
        return jnp.ones_like(holes_FHW)
    if name == OUTSIDE:
        return ~holes_FHW
    if name == HOLE:
        return holes_FHW
    if name == RIM_BAND:
        rim_FHW: jax.Array = grown(holes_FHW, RIM_WIDTH) & grown(~holes_FHW, RIM_WIDTH)
        return rim_FHW
    raise ValueError(f"region {name!r}: expected one of {', '.join(REGIONS)}")


@functools.partial(jax.jit, static_argnums=1)
def grown(holes_FHW: jax.Array, radius: int) -> jax.Array:
    """Holes with ``radius`` pixels more on each side: a square of side ``2 radius + 1`` around every pixel."""
    return _spread(_spread(holes_FHW, radius, 1), radius, 2)


def _spread(holes_FHW: jax.Array, radius: int, axis: int) -> jax.Array:
    """True within ``radius`` pixels along an axis; windows double in length, so the cost is logarithmic."""
    padding = [(0, 0)] * 3
    padding[axis] = (radius, radius)
    x_FHW = jnp.pad(holes_FHW, padding)
    length, wanted, size = 1, 2 * radius + 1, holes_FHW.shape[axis]
    while length < wanted:
        step = min(length, wanted - length)
        kept = x_FHW.shape[axis] - step
        x_FHW = jax.lax.slice_in_dim(x_FHW, 0, kept, axis=axis) | jax.lax.slice_in_dim(
            x_FHW, step, step + kept, axis=axis
        )
        length += step
    return jax.lax.slice_in_dim(x_FHW, 0, size, axis=axis)


def score_name(score: str, name: str) -> str:
    """Name of a score on a region: ``psnr``, ``psnr_outside`` ..."""
    return score if name == WHOLE else f"{score}_{name}"
