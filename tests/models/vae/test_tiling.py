"""Tiling of the VAE: which tiles there are, how neighbours blend, and where a tiled result is the untiled one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from tests.models.vae.oracle import channels_last, decode_both, encode_both
from tests.models.vae.tiny import TINY, decode, uniform
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import convs, tiling

SIZES = [(13, 20), (24, 21), (40, 33), (12, 64)]
"""Latent rows and columns, larger than one tile of 12 x 20 cells; the last tiles are cut short."""
CFG = dataclasses.replace(VAEConfig(), sample_height=24 * 8, sample_width=40 * 8)


def test_small_clips_are_not_tiled(tiny):
    z = uniform(1, 5, 3, 4, TINY.latent_channels)
    assert tiling.decode_plan(TINY, 6, 10) is None and tiling.encode_plan(TINY, 12, 20) is None
    assert np.array_equal(decode(*tiny, z, tiling=True), decode(*tiny, z))


def test_tiles_that_miss_the_latent_grid_are_named():
    cfg = dataclasses.replace(VAEConfig(), sample_height=64)
    with pytest.raises(UserError, match="tiles of 32 pixels in height do not overlap by a number of latent cells"):
        tiling.decode_plan(cfg, 60, 90)


def test_tiles_at_full_size():
    rows, columns = tiling.encode_plan(VAEConfig(), 480, 720)
    assert (rows.starts, rows.sizes, rows.keep) == ((0, 200, 400), (240, 240, 80), 25)
    assert (columns.starts, columns.sizes, columns.keep) == ((0, 288, 576), (360, 360, 144), 36)
    rows, _ = tiling.encode_plan(VAEConfig(), 405, 720)
    assert rows.starts == (0, 200), "5 pixels make no latent row"


def test_fade_goes_from_the_neighbour_to_the_tile():
    mixed = tiling.fade(jnp.zeros((1, 1, 4, 1, 1)), jnp.ones((1, 1, 6, 1, 1)), 4, axis=2)
    np.testing.assert_allclose(mixed.ravel(), [0, 0.25, 0.5, 0.75, 1, 1])


@pytest.mark.slow
@pytest.mark.parametrize("name,shape", [("deep", (1, 1, 64, 96)), ("stride2", (2, 9, 48, 40))])
def test_tiled_encode(name, shape):
    got, want = encode_both(name, shape, tiling=True, slicing=True)
    assert relative_error(got.mean_BThwC, channels_last(want.mean)) <= 1e-5
    assert relative_error(got.std_BThwC, channels_last(want.std)) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name,shape", [("deep", (1, 1, 8, 12)), ("stride2", (2, 3, 5, 23))])
def test_tiled_decode(name, shape):
    got, want = decode_both(name, shape, tiling=True)
    assert relative_error(got, want) <= 1e-5


def tiled(function, x):
    """``function`` of latents to latents in the tiles of `CFG`."""
    plan = tiling.decode_plan(CFG, *x.shape[2:4])
    rows, columns = (dataclasses.replace(axis, blend=axis.blend // 8, keep=axis.keep // 8) for axis in plan)
    return jax.jit(lambda x: tiling.run_tiles(function, x, plan=(rows, columns)))(x), (rows, columns)


@pytest.mark.parametrize("size", SIZES)
def test_a_map_of_single_cells_is_the_same_in_tiles(size):
    x = uniform(1, 2, *size, 3)
    got, _ = tiled(lambda tile: 3 * tile + 1, x)
    np.testing.assert_allclose(got, 3 * x + 1, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_a_local_map_is_the_same_wherever_no_tile_s_edge_is_near(size):
    """A 3 x 3 convolution: a tile is wrong in the outermost cells where it was cut off, right in all others."""
    x, kernel = uniform(1, 1, *size, 3), uniform(3, 3, 3, 3)
    got, (rows, columns) = tiled(lambda tile: convs.conv2d(tile, kernel), x)
    want = np.asarray(convs.conv2d(x, kernel))
    assert got.shape == want.shape
    clean = np.ones(size, bool)
    for along, (axis, length) in enumerate(((rows, size[0]), (columns, size[1]))):
        for start, extent in zip(axis.starts, axis.sizes):
            for edge in [start] * (start > 0) + [start + extent - 1] * (start + extent < length):
                np.moveaxis(clean, along, 0)[edge] = False
    assert clean.mean() > 0.7
    np.testing.assert_allclose(np.asarray(got)[:, :, clean], want[:, :, clean], atol=1e-5)
    assert relative_error(np.asarray(got)[:, :, ~clean], want[:, :, ~clean]) > 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_tiles_cover_every_cell_and_neighbours_share_what_they_blend(size):
    for axis, length in zip(tiling.decode_plan(CFG, *size), size):
        assert axis.starts[0] == 0 and axis.starts[-1] + axis.sizes[-1] == length
        step = axis.starts[1] - axis.starts[0]
        assert axis.keep == 8 * step and set(np.diff(axis.starts)) == {step}
        for start, extent in zip(axis.starts[:-1], axis.sizes):
            assert start + extent >= min(length, start + step + axis.blend // 8)


def test_blending_takes_weights_that_add_up_to_one():
    """In the overlap a tile of zeros meets one of ones: the second fades in over the blended cells, then holds."""
    x = np.concatenate([np.zeros((1, 1, 12, 16, 1)), np.ones((1, 1, 12, 8, 1))], axis=3).astype(np.float32)
    got, (_, columns) = tiled(lambda tile: jnp.full_like(tile, tile.min() > 0), x)
    start, blend = columns.starts[1], columns.blend
    line = np.asarray(got)[0, 0, 5, :, 0]
    assert blend == 4 and start == 16
    np.testing.assert_allclose(line[:start], 0)
    np.testing.assert_allclose(line[start : start + blend], np.arange(blend) / blend)
    np.testing.assert_allclose(line[start + blend :], 1)
