"""Spatial tiling of the VAE: overlapping tiles are processed one after another and blended linearly.

A tile is half the native size along each axis and starts every ``tile * (1 - overlap)`` cells, with an overlap of 1/6
of the height and 1/5 of the width as in the CogVideoX release. The first rows of a tile fade in over the last rows of
the tile above, then its first columns over the last columns of the tile on the left. Each tile contributes the cells
that the next tile does not replace. Tiles at the edges are smaller. Norm statistics are those of one tile, so the
result differs from the one without tiling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig

NATIVE = {"height": 480, "width": 720}
"""Pixels of a native frame."""

OVERLAP_HEIGHT = 1 / 6
OVERLAP_WIDTH = 1 / 5


@dataclasses.dataclass(frozen=True)
class TileAxis:
    """Tiles along rows or columns.

    Attributes:
      starts: first cell of each tile, in cells of the input.
      sizes: cells of each tile, in cells of the input.
      blend: cells of the output over which a tile fades in.
      keep: cells of the output that a tile contributes.
    """

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    blend: int
    keep: int


TilePlan = tuple[TileAxis, TileAxis]
"""Tiles along rows and along columns."""


def _axis(length: int, tile_in: int, tile_out: int, overlap: float, name: str) -> TileAxis:
    step, blend = int(tile_in * (1 - overlap)), int(tile_out * overlap)
    keep = tile_out - blend
    if step * tile_out != keep * tile_in:
        raise UserError(
            f"tiles of {max(tile_in, tile_out)} pixels in {name} do not overlap by a number of latent cells: set "
            f"sample_{name} of the VAE to a multiple of its native {NATIVE[name]}, or switch tiling off"
        )
    # cells that do not fill a latent cell give no latents
    starts = tuple(s for s in range(0, length, step) if (length - s) * tile_out >= tile_in)
    return TileAxis(starts, tuple(min(tile_in, length - s) for s in starts), blend, keep)


def _plan(cfg: VAEConfig, height: int, width: int, *, from_pixels: bool) -> TilePlan | None:
    axes = []
    for length, sample, overlap, name in (
        (height, cfg.sample_height, OVERLAP_HEIGHT, "height"),
        (width, cfg.sample_width, OVERLAP_WIDTH, "width"),
    ):
        pixels, latents = sample // 2, sample // 2 // cfg.spatial_stride
        axes.append((length, *((pixels, latents) if from_pixels else (latents, pixels)), overlap, name))
    if all(length <= tile for length, tile, *_ in axes):
        return None
    return _axis(*axes[0]), _axis(*axes[1])


def encode_plan(cfg: VAEConfig, height: int, width: int) -> TilePlan | None:
    """Tiles of a clip of ``height`` x ``width`` pixels; ``None`` if it fits into one tile.

    Raises:
      UserError: the native size of ``cfg`` gives tiles that do not fit the latent grid.
    """
    return _plan(cfg, height, width, from_pixels=True)


def decode_plan(cfg: VAEConfig, height: int, width: int) -> TilePlan | None:
    """Tiles of a clip of ``height`` x ``width`` latent cells; see `encode_plan`."""
    return _plan(cfg, height, width, from_pixels=False)


def fade(before: jax.Array, tile: jax.Array, extent: int, axis: int) -> jax.Array:
    """Fade in the first ``extent`` cells of ``tile`` along ``axis`` over the last cells of ``before``."""
    extent = min(extent, before.shape[axis], tile.shape[axis])
    shape = [1] * tile.ndim
    shape[axis] = extent
    weight = (jnp.arange(extent) / max(extent, 1)).astype(tile.dtype).reshape(shape)
    end = before.shape[axis]
    old = lax.slice_in_dim(before, end - extent, end, axis=axis)
    new = lax.slice_in_dim(tile, 0, extent, axis=axis)
    rest = lax.slice_in_dim(tile, extent, None, axis=axis)
    return jnp.concatenate([old * (1 - weight) + new * weight, rest], axis=axis)


def run_tiles(function: Callable[[jax.Array], jax.Array], x: jax.Array, *, plan: TilePlan) -> jax.Array:
    """Apply ``function`` to the tiles of a clip (B, F, rows, columns, C) and blend the results.

    Tiles of the same shape share one traced program (`lax.map`), so a large clip compiles no more programs than a small
    one.
    """
    rows, columns = plan
    shapes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, size_h in enumerate(rows.sizes):
        for j, size_w in enumerate(columns.sizes):
            shapes.setdefault((size_h, size_w), []).append((i, j))
    done: dict[tuple[int, int], jax.Array] = {}
    for (size_h, size_w), indices in shapes.items():
        corners = jnp.array([(rows.starts[i], columns.starts[j]) for i, j in indices])

        def one(corner: jax.Array, size: tuple[int, int] = (size_h, size_w)) -> jax.Array:
            tile = lax.dynamic_slice_in_dim(x, corner[0], size[0], axis=2)
            return function(lax.dynamic_slice_in_dim(tile, corner[1], size[1], axis=3))

        done.update(zip(indices, lax.map(one, corners)))
    # in reading order: a tile fades over neighbours that are already blended
    for i, j in sorted(done):
        if i > 0:
            done[i, j] = fade(done[i - 1, j], done[i, j], rows.blend, axis=2)
        if j > 0:
            done[i, j] = fade(done[i, j - 1], done[i, j], columns.blend, axis=3)
    return jnp.concatenate(
        [
            jnp.concatenate([done[i, j][:, :, : rows.keep, : columns.keep] for j in range(len(columns.starts))], axis=3)
            for i in range(len(rows.starts))
        ],
        axis=2,
    )
