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

from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig

NATIVE = {"height": 480, "width": 720}

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


def _axis(length: int, tile_in: int, tile_out: int, overlap: float, name: str) -> Axis:
    step, blend = int(tile_in * (1 - overlap)), int(tile_out * overlap)
    keep = tile_out - blend
    if step * tile_out != keep * tile_in:
        raise UserError(
            f"tiles of {max(tile_in, tile_out)} pixels in {name} do not overlap by whole latent cells: set "
            f"sample_{name} of the VAE to a multiple of its native {NATIVE[name]} or do not tile"
        )
    # what is left of a clip after the last whole cell makes no latents
    starts = tuple(s for s in range(0, length, step) if (length - s) * tile_out >= tile_in)
    return Axis(starts, tuple(min(tile_in, length - s) for s in starts), blend, keep)


def _plan(cfg: VAEConfig, height: int, width: int, *, from_pixels: bool) -> Plan | None:
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


def encode_plan(cfg: VAEConfig, height: int, width: int) -> Plan | None:
    """Tiles of a clip of pixels; ``None`` if it fits into one.

    Raises:
      UserError: the native size of ``cfg`` gives tiles that do not fit the latent grid.
    """
    return _plan(cfg, height, width, from_pixels=True)


def decode_plan(cfg: VAEConfig, height: int, width: int) -> Plan | None:
    """Tiles of a clip of latents; see `encode_plan`."""
    return _plan(cfg, height, width, from_pixels=False)


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
    return jnp.concatenate(
        [
            jnp.concatenate([done[i, j][:, :, : rows.keep, : columns.keep] for j in range(len(columns.starts))], axis=3)
            for i in range(len(rows.starts))
        ],
        axis=2,
    )
