"""Blocks of the VAE against their formulas: norms, residual block, halving and doubling of space and time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from tests.compare import relative_error
from tests.models import random_weights
from tests.models.vae.tiny import TINY, uniform
from vp_jax.models.vae import convs, layers


@pytest.mark.slow
def test_upsample_is_copy_then_convolve():
    cfg = dataclasses.replace(TINY, dtype="float32")
    module = layers.Upsample(cfg, 8, time=True, rngs=nnx.Rngs(3))
    x = uniform(1, 3, 4, 5, 8)
    copied = jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)
    copied = jnp.concatenate([copied[:, :1], jnp.repeat(copied[:, 1:], 2, axis=1)], axis=1)
    assert relative_error(module(x), convs.conv2d(copied, module.kernel[...])) <= 1e-6


def test_group_norm_is_its_formula():
    x = 3 + uniform(2, 3, 4, 5, 8)
    grouped = x.astype(np.float64).reshape(2, 60, 2, 4)
    spread = grouped.var((1, 3), keepdims=True)
    want = (grouped - grouped.mean((1, 3), keepdims=True)) / np.sqrt(spread + 1e-4)
    module = layers.GroupNorm(TINY, 8, 1e-4)
    assert relative_error(module(x), want.reshape(x.shape)) <= 1e-6
    module.scale[...], module.bias[...] = uniform(8), uniform(16)[8:]
    assert relative_error(module(x), want.reshape(x.shape) * uniform(8) + uniform(16)[8:]) <= 1e-6


def test_the_variance_of_a_large_offset_is_not_lost():
    """Two passes: mean of squares less square of mean would lose 1e-2 beside 1e3 in float32."""
    x = np.float32(1e3) + np.float32(1e-2) * uniform(1, 2, 8, 8, 4)
    values = x.astype(np.float64).reshape(1, -1, 2, 2)
    want = (values - values.mean((1, 3), keepdims=True)) / np.sqrt(values.var((1, 3), keepdims=True) + 1e-6)
    cfg = dataclasses.replace(TINY, groups=2)
    assert relative_error(layers.GroupNorm(cfg, 4, 1e-6)(x), want.reshape(x.shape)) < 0.05


@pytest.mark.parametrize(
    "frames, target, want",
    [
        (3, 3, [0, 1, 2]),
        (3, 5, [0, 1, 1, 2, 2]),
        (2, 4, [0, 0, 1, 1]),
        (3, 9, [0, 1, 1, 1, 1, 2, 2, 2, 2]),
        (2, 8, [0, 0, 0, 0, 1, 1, 1, 1]),
        (1, 1, [0]),
    ],
)
def test_frames_are_repeated_and_an_odd_first_one_stays_single(frames, target, want):
    x = jnp.broadcast_to(jnp.arange(frames, dtype=jnp.float32)[None, :, None, None, None], (2, frames, 1, 1, 3))
    got = np.asarray(layers.repeat_time(x, target))
    assert got.shape == (2, target, 1, 1, 3) and got[0, :, 0, 0, 0].tolist() == want


@pytest.mark.parametrize("frames, latents", [(9, 3), (8, 2), (1, 1), (5, 3)])
def test_spatial_norm_resizes_the_latents_to_its_input(frames, latents):
    """torch's nearest neighbour; of an odd number of frames the first is resized by itself, as in the release."""
    module, p = random_weights.module(layers.SpatialNorm, TINY, 8)
    f, z = uniform(2, frames, 6, 8, 8), uniform(2, latents, 3, 2, 4)
    first = torch.from_numpy(z).permute(0, 4, 1, 2, 3)

    def resized(part, count):
        return torch.nn.functional.interpolate(part, (count, 6, 8), mode="nearest")

    if frames > 1 and frames % 2:
        big = torch.cat([resized(first[:, :, :1], 1), resized(first[:, :, 1:], frames - 1)], dim=2)
    else:
        big = resized(first, frames)
    big = big.permute(0, 2, 3, 4, 1).double().numpy()
    grouped = f.astype(np.float64).reshape(2, frames, 6, 8, 2, 4)
    mean, variance = (op(grouped, (1, 2, 3, 5), keepdims=True) for op in (np.mean, np.var))
    normed = ((grouped - mean) / np.sqrt(variance + 1e-6)).reshape(f.shape) * p["norm/scale"] + p["norm/bias"]
    scale, shift = (big @ p[f"{name}/kernel"][0, 0, 0] + p[f"{name}/bias"] for name in ("conv_y", "conv_b"))
    assert relative_error(random_weights.run(module, f, z), normed * scale + shift) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("d_out, conditioned", [(8, False), (8, True), (4, False), (4, True)])
def test_a_residual_block_is_two_normed_convolutions_beside_its_input(d_out, conditioned):
    block, p = random_weights.module(layers.ResBlock, TINY, 4, d_out, conditioned=conditioned)
    x, z = jnp.asarray(uniform(1, 3, 4, 4, 4)), jnp.asarray(uniform(1, 3, 2, 2, 4))
    condition = (z,) if conditioned else ()
    h = x
    for norm, conv in ((block.norm1, block.conv1), (block.norm2, block.conv2)):
        y = norm(h, *condition)
        h = conv(y * jax.nn.sigmoid(y), convs.TimeCache(None))
    beside = x if d_out == 4 else np.asarray(x) @ p["shortcut/kernel"][0, 0, 0] + p["shortcut/bias"]
    cache = convs.TimeCache(None)
    assert relative_error(block(x, cache, *condition), beside + h) <= 1e-5
    assert [past.shape[-1] for past in cache.future] == [4, d_out]
    assert (block.shortcut is None) == (d_out == 4)


@pytest.mark.parametrize("time", [True, False])
@pytest.mark.parametrize("frames", [1, 4, 5])
@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_downsampling_averages_pairs_then_convolves_with_stride_two(frames, size, time):
    module, p = random_weights.module(layers.Downsample, TINY, 4, time=time)
    x = uniform(1, frames, *size, 4)
    kept = list(x[0])
    if time and frames > 1:
        head, rest = kept[: frames % 2], kept[frames % 2 :]
        kept = head + [(a + b) / 2 for a, b in zip(rest[::2], rest[1::2])]
    images = torch.from_numpy(np.stack(kept)).permute(0, 3, 1, 2).double()
    images = torch.nn.functional.pad(images, (0, 1, 0, 1))  # right and bottom
    kernel, bias = torch.from_numpy(p["kernel"]).permute(3, 2, 0, 1), torch.from_numpy(p["bias"])
    want = torch.nn.functional.conv2d(images, kernel, bias, stride=2).permute(0, 2, 3, 1).numpy()
    got = random_weights.run(module, x)
    assert got.shape == (1, len(kept), size[0] // 2, size[1] // 2, 4)
    assert relative_error(got[0], want) <= 1e-6


@pytest.mark.parametrize(
    "frames, time, want", [(1, True, [0]), (2, True, [0, 0, 1, 1]), (3, True, [0, 1, 1, 2, 2]), (3, False, [0, 1, 2])]
)
def test_upsampling_doubles_time_only_if_asked(frames, time, want):
    module, _ = random_weights.module(layers.Upsample, TINY, 4, time=time)
    single, _ = random_weights.module(layers.Upsample, TINY, 4, time=False)
    x = uniform(1, frames, 2, 3, 4)
    got, alone = random_weights.run(module, x), random_weights.run(single, x)
    assert got.shape == (1, len(want), 4, 6, 4)
    np.testing.assert_array_equal(got[0], np.asarray(alone[0])[want])
