"""Layers of the transformer against their formulas in NumPy: modulation, feed-forward, times, patches, positions."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding

from tests.compare import relative_error
from tests.models.random_weights import module, run
from tests.models.tiny import DIT
from vp_jax.errors import UserError
from vp_jax.models import layers, rope

SINCOS = dataclasses.replace(DIT, rope=False, num_heads=1)
LEARNED = dataclasses.replace(DIT, learned_positions=True)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def silu(x):
    return x / (1 + np.exp(-x))


def normed(x, eps, p, prefix):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * p[f"{prefix}/scale"] + p[f"{prefix}/bias"]


def dense(x, p, prefix):
    return x @ p[f"{prefix}/kernel"] + p.get(f"{prefix}/bias", 0)


def test_text_tokens_take_the_text_row_and_video_tokens_the_video_row():
    text, video = normal(2, 4), normal(2, 4, seed=1)
    got = np.asarray(layers.per_token(jnp.asarray(text), jnp.asarray(video), 3, 8))
    for batch, token in np.ndindex(2, 8):
        np.testing.assert_array_equal(got[batch, token], (text if token < 3 else video)[batch])


def test_modulation_is_shift_scale_gate_of_the_video_then_of_the_text():
    norm, p = module(layers.ModulatedNorm, DIT)
    x, emb, text_len = 2 + normal(2, 5, DIT.dim), normal(2, DIT.time_dim, seed=1), 2
    got = run(norm, x, emb, static=(text_len,))
    rows = dense(silu(emb.astype(np.float64)), p, "linear").reshape(2, 2, 3, DIT.dim)  # B, part, number, D
    plain = normed(x.astype(np.float64), DIT.norm_eps, p, "norm")
    for batch, token in np.ndindex(2, 5):
        shift, scale, gate = rows[batch, 1 if token < text_len else 0]
        assert relative_error(got.y_BSD[batch, token], plain[batch, token] * (1 + scale) + shift) < 1e-5
        assert relative_error(got.gate_BSD[batch, token], gate) < 1e-5


def test_a_bfloat16_stream_is_normalised_in_float32():
    half = dataclasses.replace(DIT, dtype="bfloat16", param_dtype="bfloat16")
    modulated, _ = module(layers.ModulatedNorm, half)
    x = jnp.asarray(normal(1, 4, DIT.dim), jnp.bfloat16)
    got = run(modulated, x, jnp.asarray(normal(1, DIT.time_dim), jnp.bfloat16), static=(1,))
    assert (got.y_BSD.dtype, got.gate_BSD.dtype) == (jnp.bfloat16, jnp.float32)
    norm, p = module(layers.layer_norm, DIT.dim, 1e-6, half)
    values = np.asarray(x, np.float64)  # rounded once only, by the input
    want, y = normed(values, 1e-6, {f"norm/{name}": value for name, value in p.items()}, "norm"), run(norm, x)
    assert y.dtype == jnp.float32 and relative_error(y, want) < 1e-5


def test_feed_forward_is_a_tanh_gelu_between_two_linears():
    feed_forward, p = module(layers.FeedForward, DIT)
    x = normal(2, 3, DIT.dim)
    h = dense(x.astype(np.float64), p, "up")
    assert h.shape[-1] == 4 * DIT.dim
    h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
    assert relative_error(run(feed_forward, x), dense(h, p, "down")) < 1e-5


@pytest.mark.parametrize("width", [128, 1920, 3072])
def test_waves_of_the_last_timestep(width):
    """The largest angles, where a frequency rounded otherwise than the original's shows."""
    want = get_timestep_embedding(torch.tensor([999]), width, flip_sin_to_cos=True, downscale_freq_shift=0)
    assert relative_error(layers.sinusoid(jnp.array([999]), width), want.numpy()) <= 5e-6


def test_cosines_come_first():
    got = layers.sinusoid(jnp.array([0, 3]), 8)
    angles = [3 * 10000 ** (-2 * j / 8) for j in range(4)]
    np.testing.assert_allclose(got[0], [1, 1, 1, 1, 0, 0, 0, 0], atol=1e-7)
    np.testing.assert_allclose(got[1], [*map(math.cos, angles), *map(math.sin, angles)], atol=1e-6)


def test_a_time_passes_two_linears_with_a_silu_between():
    embedding, p = module(layers.SinusoidEmbedding, 12, 5, DIT)
    t = jnp.array([7, 990])
    want = dense(silu(dense(np.asarray(layers.sinusoid(t, 12), np.float64), p, "linear_1")), p, "linear_2")
    assert relative_error(run(embedding, t), want) < 1e-5


@pytest.mark.parametrize("patch_t", [None, 2])
def test_a_token_holds_its_patch_ordered_channel_frame_row_column(patch_t):
    cfg = dataclasses.replace(DIT, patch_t=patch_t, in_channels=3, out_channels=3)
    x, depth = normal(2, 4, 6, 8, 3), patch_t or 1
    got = np.asarray(layers.patchify(jnp.asarray(x), cfg))
    token = 0
    for frame, row, column in np.ndindex(4 // depth, 3, 4):
        values = [
            x[:, frame * depth + dt, row * 2 + dy, column * 2 + dx, channel]
            for channel in range(3)
            for dt in range(depth)
            for dy in range(2)
            for dx in range(2)
        ]
        np.testing.assert_array_equal(got[:, token], np.stack(values, axis=1))
        token += 1
    assert got.shape[1] == token
    np.testing.assert_array_equal(layers.unpatchify(jnp.asarray(got), 4, 6, 8, cfg), x)


def test_patches_are_a_strided_convolution():
    embed, p = module(layers.PatchEmbed, DIT)
    latents, text = normal(2, 3, 4, 6, DIT.in_channels), normal(2, 3, DIT.text_dim, seed=1)
    weight = torch.from_numpy(p["proj/kernel"].reshape(DIT.in_channels, 2, 2, DIT.dim)).permute(3, 0, 1, 2).contiguous()
    images = torch.from_numpy(latents.reshape(6, 4, 6, -1).astype(np.float64)).permute(0, 3, 1, 2)
    want = torch.nn.functional.conv2d(images, weight, torch.from_numpy(p["proj/bias"]), stride=2)
    want_BND = want.permute(0, 2, 3, 1).reshape(2, 3 * 2 * 3, DIT.dim).numpy()
    got = run(embed, latents, text)
    assert relative_error(got[:, 3:], want_BND) < 1e-5
    assert relative_error(got[:, :3], dense(text.astype(np.float64), p, "text_proj")) < 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 4, 6), (1, 4, 5, 6), (1, 4, 4, 7)])
def test_latents_that_do_not_divide_into_patches_are_named(shape):
    cfg = dataclasses.replace(DIT, patch_t=2)
    with pytest.raises(ValueError, match="do not divide into patches of 2x2x2"):
        layers.patchify(jnp.zeros((*shape, DIT.in_channels)), cfg)


def added(cfg, frames, text_len=3):
    """What `PatchEmbed` adds to projected tokens, of which there are none here: all other weights are zero."""
    embed, _ = module(layers.PatchEmbed, cfg)
    for linear in (embed.proj, embed.text_proj):
        linear.kernel[...], linear.bias[...] = (np.zeros_like(p[...]) for p in (linear.kernel, linear.bias))
    latents = np.ones((1, frames, cfg.sample_height, cfg.sample_width, cfg.in_channels), np.float32)
    return run(embed, latents, np.ones((1, text_len, cfg.text_dim), np.float32))[0], embed


def table(cfg, frames):
    return rope.sincos_table(
        frames, cfg.sample_height // 2, cfg.sample_width // 2, cfg.dim, 3, spatial_scale=1.875, temporal_scale=1.0
    )


def test_positions_of_each_kind_of_model():
    rotary, _ = added(DIT, 2)
    assert not rotary.any()
    sincos, _ = added(SINCOS, 2)
    np.testing.assert_array_equal(sincos, table(SINCOS, 2))
    native, embed = added(LEARNED, 3)
    np.testing.assert_array_equal(native, embed.pos_embedding[...])
    longer, _ = added(LEARNED, 4)  # a length that was not learned
    np.testing.assert_array_equal(longer, table(LEARNED, 4))


def test_other_sizes_than_the_learned_ones_are_named():
    embed, _ = module(layers.PatchEmbed, LEARNED)
    with pytest.raises(UserError, match="size 64x96 with a checkpoint whose learned positions are for 32x48 only"):
        embed(jnp.zeros((1, 3, 8, 12, DIT.in_channels)), jnp.zeros((1, 3, DIT.text_dim)))


@pytest.mark.parametrize("cfg", [SINCOS, LEARNED], ids=["sincos", "learned"])
def test_other_lengths_of_text_than_the_table_s_are_named(cfg):
    with pytest.raises(ValueError, match="2 text tokens: this model's position table is for 3"):
        added(cfg, 3, text_len=2)
