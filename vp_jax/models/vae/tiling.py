"""Spatial tiling of the VAE: overlapping tiles one after another, joined by linear blending.

A tile is half the native size along each axis and starts every ``tile * (1 - overlap)`` cells, overlap 1/6 of the
height and 1/5 of the width (those of the CogVideoX release, on which parity depends). The first rows of a tile fade
in over the last rows of the one above, then the first columns over the last of the one on the left; each tile then
keeps what the next one does not replace. Tiles at the edges are cut short. Norm statistics are those of one tile,
so the result differs from the untiled one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from vp_jax.models.config import VAEConfig

OVERLAP_HEIGHT = 1 / 6
OVERLAP_WIDTH = 1 / 5


@dataclasses.dataclass(frozen=True)
class Axis:
    """Tiles along rows or columns.

    Attributes:
      starts, sizes: of the tiles, in cells of the input.
      blend, keep: cells of the output that fade, and that a tile contributes.
    """

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    blend: int
    keep: int


Plan = tuple[Axis, Axis]


def _axis(length: int, tile_in: int, tile_out: int, overlap: float) -> Axis:
    starts = tuple(range(0, length, int(tile_in * (1 - overlap))))
    blend = int(tile_out * overlap)
    return Axis(starts, tuple(min(tile_in, length - s) for s in starts), blend, tile_out - blend)


def _tile_sizes(cfg: VAEConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    pixels = cfg.sample_height // 2, cfg.sample_width // 2
    return pixels, (pixels[0] // cfg.spatial_stride, pixels[1] // cfg.spatial_stride)


def encode_plan(cfg: VAEConfig, height: int, width: int) -> Plan | None:
    """Tiles of a clip of pixels; ``None`` if it fits into one."""
    (pixel_h, pixel_w), (latent_h, latent_w) = _tile_sizes(cfg)
    if height <= pixel_h and width <= pixel_w:
        return None
    return (_axis(height, pixel_h, latent_h, OVERLAP_HEIGHT), _axis(width, pixel_w, latent_w, OVERLAP_WIDTH))


def decode_plan(cfg: VAEConfig, height: int, width: int) -> Plan | None:
    """Tiles of a clip of latents; ``None`` if it fits into one."""
    (pixel_h, pixel_w), (latent_h, latent_w) = _tile_sizes(cfg)
    if height <= latent_h and width <= latent_w:
        return None
    return (_axis(height, latent_h, pixel_h, OVERLAP_HEIGHT), _axis(width, latent_w, pixel_w, OVERLAP_WIDTH))


def fade(before: jax.Array, tile: jax.Array, extent: int, axis: int) -> jax.Array:
    """``tile`` with its first ``extent`` cells along ``axis`` faded in over the last ones of ``before``."""
    extent = min(extent, before.shape[axis], tile.shape[axis])
    shape = [1] * tile.ndim
    shape[axis] = extent
    weight = (jnp.arange(extent) / max(extent, 1)).astype(tile.dtype).reshape(shape)
    end = before.shape[axis]
    old = lax.slice_in_dim(before, end - extent, end, axis=axis)
    new = lax.slice_in_dim(tile, 0, extent, axis=axis)
    rest = lax.slice_in_dim(tile, extent, None, axis=axis)
    return jnp.concatenate([old * (1 - weight) + new * weight, rest], axis=axis)


def run_tiles(function: Callable[[jax.Array], jax.Array], x: jax.Array, *, plan: Plan) -> jax.Array:
    """Apply ``function`` to the tiles of a clip B F rows columns C and blend the results.

    Tiles of one shape share one traced program (`lax.map`), so at most a few are compiled however large the clip.
    """
    rows, columns = plan
    shapes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, size_h in enumerate(rows.sizes):
        for j, size_w in enumerate(columns.sizes):
            shapes.setdefault((size_h, size_w), []).append((i, j))
    done: dict[tuple[int, int], jax.Array] = {}
    for (size_h, size_w), places in shapes.items():
        corners = jnp.array([(rows.starts[i], columns.starts[j]) for i, j in places])

        def one(corner: jax.Array, size: tuple[int, int] = (size_h, size_w)) -> jax.Array:
            tile = lax.dynamic_slice_in_dim(x, corner[0], size[0], axis=2)
            return function(lax.dynamic_slice_in_dim(tile, corner[1], size[1], axis=3))

        done.update(zip(places, lax.map(one, corners)))
    # neighbours are blended before they serve as neighbours
    for i, j in sorted(done):
        if i > 0:
            done[i, j] = fade(done[i - 1, j], done[i, j], rows.blend, axis=2)
        if j > 0:
            done[i, j] = fade(done[i, j - 1], done[i, j], columns.blend, axis=3)
    return jnp.concatenate([
        jnp.concatenate([done[i, j][:, :, :rows.keep, :columns.keep] for j in range(len(columns.starts))], axis=3)
        for i in range(len(rows.starts))], axis=2)
