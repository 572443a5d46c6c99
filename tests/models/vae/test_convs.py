"""Convolutions of the VAE: the implementations agree, with each other and with torch, forward and backward."""

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
from vp_jax.models.vae import convs


@pytest.mark.parametrize("shape", [(1, 3, 4, 5, 3), (2, 8, 6, 4, 32), (1, 9, 4, 6, 40), (1, 1, 4, 4, 32)])
@pytest.mark.parametrize("name", ["taps", "winograd"])
def test_convolutions_agree(name, shape):
    B, F, H, W, C = shape
    x, kernel = uniform(B, F + 2, H, W, C), uniform(3, 3, 3, C, 7)
    want = convs.conv3d_xla(x, kernel)
    assert want.shape == (B, F, H, W, 7)
    assert relative_error(convs.CONV3D[name](x, kernel), want) <= 1e-6


@pytest.mark.parametrize(
    "size, window, stride, padding",
    [
        ((6, 8, 10, 5), 3, 1, ((1, 1), (1, 1))),
        ((4, 8, 10, 5), 3, 2, ((0, 1), (0, 1))),
        ((3, 7, 9, 5), 3, 2, ((0, 1), (0, 1))),
        ((5, 6, 4, 3), 2, 1, ((1, 1), (1, 1))),
        ((3, 70, 100, 4), 3, 1, ((1, 1), (1, 1))),
    ],
)
def test_derivatives_of_convolutions_are_xlas(size, window, stride, padding):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(size).astype(np.float32)
    kernel = rng.standard_normal((window, window, size[-1], 6)).astype(np.float32)

    def of(conv):
        return jax.jit(jax.grad(lambda *a: jnp.sin(0.1 * conv(*a)).sum(), argnums=(0, 1)))(x, kernel)

    want = of(
        lambda x, k: jax.lax.conv_general_dilated(
            x, k, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    )
    for got, expected in zip(of(lambda x, k: convs.frame_conv(x, k, stride, padding)), want):
        assert relative_error(got, expected) <= 1e-5


@pytest.mark.parametrize("name", list(convs.CONV3D))
def test_convolutions_in_bfloat16(name):
    x, kernel = uniform(1, 7, 6, 6, 32), uniform(3, 3, 3, 32, 8)
    got = convs.CONV3D[name](x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))
    assert got.dtype == jnp.bfloat16
    assert relative_error(got, convs.conv3d_xla(x, kernel)) <= 1e-2


def test_frames_are_convolved_alone_with_zeros_around_them():
    x, kernel = uniform(2, 3, 5, 6, 4), uniform(3, 3, 4, 7)
    images = torch.from_numpy(x.reshape(6, 5, 6, 4)).permute(0, 3, 1, 2)
    want = torch.nn.functional.conv2d(images, torch.from_numpy(kernel).permute(3, 2, 0, 1), padding=1)
    got = convs.conv2d(x, kernel)
    assert relative_error(got, want.permute(0, 2, 3, 1).reshape(2, 3, 5, 6, 7).numpy()) <= 1e-6


@pytest.mark.parametrize(
    "requested, dtype, platform, chosen",
    [
        ("auto", "float32", "cpu", "winograd"),
        ("auto", "float32", None, "winograd"),
        ("auto", "bfloat16", "cpu", "taps"),
        ("auto", "float32", "cuda", "taps"),
        ("auto", "float32", "gpu", "taps"),
        ("auto", "bfloat16", "tpu", "taps"),
        ("taps", "float32", "cpu", "taps"),
        ("xla", "float32", "cpu", "xla"),
        ("winograd", "bfloat16", "gpu", "winograd"),
    ],
)
def test_the_fastest_implementation_is_chosen_for_a_platform_and_type(requested, dtype, platform, chosen):
    assert convs.choose_conv(requested, dtype=dtype, platform=platform) == chosen


def test_a_description_that_leaves_the_choice_open_computes_what_was_chosen():
    x, results = uniform(1, 4, 4, 4, 40), {}
    for conv in ("auto", "winograd", "taps"):
        module, _ = random_weights.module(convs.CausalConv, dataclasses.replace(TINY, conv=conv), 40, 8)
        results[conv] = np.asarray(module(x, convs.TimeCache(None)))
    assert np.array_equal(results["auto"], results["winograd"]) and (results["auto"] != results["taps"]).any()


@pytest.mark.parametrize("conv", list(convs.CONV3D))
def test_a_causal_convolution_is_torch_s_with_the_first_frame_twice_before(conv):
    cfg = dataclasses.replace(TINY, conv=conv)
    module, p = random_weights.module(convs.CausalConv, cfg, 4, 6)
    x = uniform(2, 5, 4, 6, 4)
    padded = torch.from_numpy(np.concatenate([x[:, :1], x[:, :1], x], axis=1)).permute(0, 4, 1, 2, 3).double()
    kernel, bias = (torch.from_numpy(p[name]) for name in ("kernel", "bias"))
    want = torch.nn.functional.conv3d(padded, kernel.permute(4, 3, 0, 1, 2), bias, padding=(0, 1, 1))
    got = jax.jit(lambda m, x: m(x, convs.TimeCache(None)))(module, x)
    assert relative_error(got, want.permute(0, 2, 3, 4, 1).numpy()) <= 1e-6


def test_no_frame_sees_a_later_one():
    module, _ = random_weights.module(convs.CausalConv, TINY, 4, 4)
    run = jax.jit(lambda m, x: m(x, convs.TimeCache(None)))
    x = uniform(1, 6, 4, 4, 4)
    plain = np.asarray(run(module, x))
    for frame in range(6):
        changed = x.copy()
        changed[:, frame] += 1
        differs = (np.asarray(run(module, changed)) != plain).any(axis=(0, 2, 3, 4))
        assert differs.tolist() == [frame <= other <= frame + 2 for other in range(6)]


@pytest.mark.parametrize("cuts", [(3,), (1, 2, 3, 4), (2, 5)])
def test_chunks_of_any_length_give_the_whole(cuts):
    module, _ = random_weights.module(convs.CausalConv, TINY, 4, 4)
    x = uniform(1, 6, 4, 4, 4)
    parts, past = [], None
    for part in np.split(x, cuts, axis=1):
        cache = convs.TimeCache(past)
        parts.append(module(part, cache))
        past = cache.future
    assert relative_error(jnp.concatenate(parts, axis=1), module(x, convs.TimeCache(None))) <= 1e-6


def test_the_cache_hands_each_convolution_its_own_two_frames():
    first, second = uniform(1, 3, 2, 2, 4), uniform(1, 2, 2, 2, 8)
    cache = convs.TimeCache(None)
    extended = cache.extend(jnp.asarray(first))
    np.testing.assert_array_equal(extended, np.concatenate([first[:, :1], first[:, :1], first], axis=1))
    cache.extend(jnp.asarray(second))
    assert [past.shape for past in cache.future] == [(1, 2, 2, 2, 4), (1, 2, 2, 2, 8)]
    later = convs.TimeCache(cache.future)
    one_more = jnp.full((1, 1, 2, 2, 4), 5.0)
    np.testing.assert_array_equal(later.extend(one_more), np.concatenate([first[:, 1:], one_more], axis=1))
    np.testing.assert_array_equal(later.future[0], np.concatenate([first[:, 2:], one_more], axis=1))
    np.testing.assert_array_equal(later.extend(jnp.asarray(second))[:, :2], second)


def test_a_point_convolution_is_a_matrix_in_the_type_of_its_input():
    half = dataclasses.replace(TINY, dtype="bfloat16")
    module, p = random_weights.module(convs.PointConv, half, 4, 6)
    x = uniform(1, 2, 3, 4, 4)
    got = module(jnp.asarray(x))
    assert got.dtype == jnp.float32, "norms condition on latents in float32 whatever the compute type"
    assert relative_error(got, x @ p["kernel"][0, 0, 0] + p["bias"]) <= 1e-6


def test_new_convolutions_keep_the_variance_of_their_input():
    kernel = convs.CausalConv(TINY, 40, 50, rngs=nnx.Rngs(0)).kernel[...]
    assert kernel.shape == (3, 3, 3, 40, 50)
    assert float(kernel.std()) == pytest.approx((27 * 40) ** -0.5, rel=0.03)
