"""diffusers' AutoencoderKLCogVideoX with random weights at several widths, depths and strides, beside ours."""

import functools
from typing import Any

import jax
import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX
from flax import nnx

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


def channels_first(x: Any) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.asarray(x), -1, 1).copy())


def channels_last(x: torch.Tensor) -> np.ndarray:
    return np.moveaxis(x.numpy(), 1, -1)


@functools.cache
def build(name: str) -> tuple[VAEConfig, AutoencoderKLCogVideoX, Any, trees.Tree]:
    """Description, oracle, and ours as a function of its parameters, with the same weights."""
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


def encode_both(name: str, shape: tuple[int, ...], **options: bool) -> tuple[Any, Any]:
    """Posteriors of ours and of the oracle for a random clip (B, F, H, W)."""
    cfg, oracle, merge, params = build(name)
    video = np.random.default_rng(1).uniform(-1, 1, (*shape, cfg.in_channels)).astype(np.float32)
    got = jax.jit(lambda p, x: merge(p).encode(x, **options))(params, video)
    oracle.enable_tiling() if options.get("tiling") else oracle.disable_tiling()
    with torch.no_grad():
        want = oracle.encode(channels_first(video)).latent_dist
    return got, want


def decode_both(name: str, shape: tuple[int, ...], **options: bool) -> tuple[Any, np.ndarray]:
    """Pixels of ours and of the oracle for random latents (B, T, h, w)."""
    cfg, oracle, merge, params = build(name)
    latents = np.random.default_rng(2).standard_normal((*shape, cfg.latent_channels)).astype(np.float32)
    got = jax.jit(lambda p, z: merge(p).decode(z, **options))(params, latents)
    oracle.enable_tiling() if options.get("tiling") else oracle.disable_tiling()
    with torch.no_grad():
        want = oracle.decode(channels_first(latents)).sample
    return got, channels_last(want)
