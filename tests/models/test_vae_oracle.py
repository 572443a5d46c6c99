"""The VAE against diffusers' AutoencoderKLCogVideoX with random weights at other widths, depths and strides."""

import functools

import jax
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLCogVideoX
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.convert import engine
from vp_jax.convert import vae as table
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae.vae import VAE

CONFIGS = {
    "deep": VAEConfig(channels=(4, 8, 8, 12), layers_per_block=2, groups=2, sample_height=96, sample_width=160),
    "stride2": VAEConfig(
        channels=(6, 12, 6),
        layers_per_block=1,
        groups=3,
        temporal_stride=2,
        latent_channels=5,
        sample_height=48,
        sample_width=80,
    ),
    "stride8": VAEConfig(
        channels=(4, 4, 8, 8),
        layers_per_block=1,
        groups=4,
        temporal_stride=8,
        norm_eps=1e-4,
        sample_height=64,
        sample_width=64,
    ),
    "winograd": VAEConfig(
        channels=(32, 40),
        layers_per_block=1,
        groups=8,
        temporal_stride=2,
        conv="winograd",
        sample_height=16,
        sample_width=16,
    ),
    "taps": VAEConfig(
        channels=(32, 40),
        layers_per_block=1,
        groups=8,
        temporal_stride=2,
        conv="taps",
        sample_height=16,
        sample_width=16,
    ),
}


def channels_first(x):
    return torch.from_numpy(np.moveaxis(np.asarray(x), -1, 1).copy())


def channels_last(x):
    return np.moveaxis(x.numpy(), 1, -1)


@functools.cache
def build(name):
    cfg = CONFIGS[name]
    torch.manual_seed(0)
    with torch.no_grad():
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.config_to_torch(cfg).items()}
        values.pop("_class_name")
        oracle = AutoencoderKLCogVideoX(**values).eval()
        for parameter in oracle.parameters():  # affine norms and biases away from 1 and 0
            parameter.add_(0.1 * torch.randn_like(parameter))
    weights = {k: v.numpy() for k, v in oracle.state_dict().items()}
    graphdef, abstract = trees.abstract(lambda: VAE(cfg, rngs=nnx.Rngs(0)))
    params = engine.to_ours(weights, table.RULES, table.IGNORED, abstract)
    return cfg, oracle, functools.partial(nnx.merge, graphdef), params


def encode_both(name, shape, **options):
    cfg, oracle, merge, params = build(name)
    video = np.random.default_rng(1).uniform(-1, 1, (*shape, cfg.in_channels)).astype(np.float32)
    got = jax.jit(lambda p, x: merge(p).encode(x, **options))(params, video)
    oracle.enable_tiling() if options.get("tiling") else oracle.disable_tiling()
    with torch.no_grad():
        want = oracle.encode(channels_first(video)).latent_dist
    return got, want


def decode_both(name, shape, **options):
    cfg, oracle, merge, params = build(name)
    latents = np.random.default_rng(2).standard_normal((*shape, cfg.latent_channels)).astype(np.float32)
    got = jax.jit(lambda p, z: merge(p).decode(z, **options))(params, latents)
    oracle.enable_tiling() if options.get("tiling") else oracle.disable_tiling()
    with torch.no_grad():
        want = oracle.decode(channels_first(latents)).sample
    return got, channels_last(want)


@pytest.mark.parametrize(
    "name,shape",
    [
        ("deep", (1, 1, 40, 24)),
        ("deep", (2, 5, 24, 40)),
        ("deep", (1, 25, 16, 24)),
        ("deep", (1, 49, 16, 16)),
        ("deep", (1, 12, 21, 27)),
        ("stride2", (1, 9, 12, 20)),
        ("stride2", (1, 17, 13, 10)),
        ("stride8", (1, 17, 24, 16)),
        ("winograd", (1, 17, 8, 12)),
        ("taps", (1, 17, 8, 12)),
    ],
)
def test_encode(name, shape):
    got, want = encode_both(name, shape)
    assert relative_error(got.mean_BThwC, channels_last(want.mean)) <= 1e-5
    assert relative_error(got.std_BThwC, channels_last(want.std)) <= 1e-5


@pytest.mark.parametrize(
    "name,shape",
    [
        ("deep", (1, 1, 5, 3)),
        ("deep", (2, 2, 3, 5)),
        ("deep", (1, 7, 2, 3)),
        ("deep", (1, 13, 2, 2)),
        ("stride2", (1, 5, 3, 5)),
        ("stride8", (1, 3, 3, 2)),
        ("winograd", (1, 5, 4, 6)),
        ("taps", (1, 5, 4, 6)),
    ],
)
def test_decode(name, shape):
    got, want = decode_both(name, shape)
    assert relative_error(got, want) <= 1e-5


@pytest.mark.parametrize("name,shape", [("deep", (1, 1, 64, 96)), ("stride2", (2, 9, 48, 40))])
def test_tiled_encode(name, shape):
    got, want = encode_both(name, shape, tiling=True, slicing=True)
    assert relative_error(got.mean_BThwC, channels_last(want.mean)) <= 1e-5
    assert relative_error(got.std_BThwC, channels_last(want.std)) <= 1e-5


@pytest.mark.parametrize("name,shape", [("deep", (1, 1, 8, 12)), ("stride2", (2, 3, 5, 23))])
def test_tiled_decode(name, shape):
    got, want = decode_both(name, shape, tiling=True)
    assert relative_error(got, want) <= 1e-5


def test_tables_are_inverse():
    cfg, oracle, _, params = build("deep")
    back = engine.to_torch(params, table.RULES)
    weights = oracle.state_dict()
    assert set(back) == set(weights)
    assert all(np.array_equal(back[k], weights[k].numpy()) for k in back)
    assert table.config_from_torch(table.config_to_torch(cfg)) == cfg
