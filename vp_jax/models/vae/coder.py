"""Encoder and decoder of the causal 3-D VAE, one chunk of frames at a time.

The encoder has conv_in, one level per width (residual blocks, then halving, except at the last level), two residual
blocks, a norm, and conv_out to mean and log-variance. The decoder mirrors it, with one more residual block per level
and norms that are conditioned on the latents of the chunk. The first ``log2(temporal_stride)`` resamplings of both also
change time (CogVideoX, arXiv 2408.06072 section 2.1 and figure 3). Blocks differ in width, so they are not stacked.
"""

from __future__ import annotations

import jax
from flax import nnx

from vp_jax.models.config import VAEConfig
from vp_jax.models.vae.convs import Cache, CausalConv, TimeCache
from vp_jax.models.vae.layers import NORM_EPS, Downsample, GroupNorm, ResBlock, SpatialNorm, Upsample

MIDDLE = 2
"""Residual blocks between encoder levels and latents, and between latents and decoder levels."""


class DownLevel(nnx.Module):
    """Residual blocks of one width, followed by `Downsample` except at the last level."""

    def __init__(self, cfg: VAEConfig, level: int, *, rngs: nnx.Rngs) -> None:
        d_in, d_out = cfg.channels[max(level - 1, 0)], cfg.channels[level]
        self.resnets = nnx.List(
            [
                ResBlock(cfg, d_in if i == 0 else d_out, d_out, conditioned=False, rngs=rngs)
                for i in range(cfg.layers_per_block)
            ]
        )
        last = level == len(cfg.channels) - 1
        self.downsample = None if last else Downsample(cfg, d_out, time=level < cfg.time_levels, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array, cache: TimeCache) -> jax.Array:
        """One chunk through the level."""
        for block in self.resnets:
            x_BFHWC = block(x_BFHWC, cache)
        return self.downsample(x_BFHWC) if self.downsample else x_BFHWC


class UpLevel(nnx.Module):
    """Residual blocks of one width, followed by `Upsample` except at the last level."""

    def __init__(self, cfg: VAEConfig, level: int, *, rngs: nnx.Rngs) -> None:
        widths = cfg.channels[::-1]
        d_in, d_out = widths[max(level - 1, 0)], widths[level]
        self.resnets = nnx.List(
            [
                ResBlock(cfg, d_in if i == 0 else d_out, d_out, conditioned=True, rngs=rngs)
                for i in range(cfg.layers_per_block + 1)
            ]
        )
        last = level == len(widths) - 1
        self.upsample = None if last else Upsample(cfg, d_out, time=level < cfg.time_levels, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array, cache: TimeCache, z_BThwC: jax.Array) -> jax.Array:
        """One chunk through the level; ``z`` are its latents."""
        for block in self.resnets:
            x_BFHWC = block(x_BFHWC, cache, z_BThwC)
        return self.upsample(x_BFHWC) if self.upsample else x_BFHWC


class Encoder(nnx.Module):
    """Pixels to mean and log-variance of the latents."""

    def __init__(self, cfg: VAEConfig, *, rngs: nnx.Rngs) -> None:
        self.cfg = cfg
        top = cfg.channels[-1]
        self.conv_in = CausalConv(cfg, cfg.in_channels, cfg.channels[0], rngs=rngs)
        self.down = nnx.List([DownLevel(cfg, level, rngs=rngs) for level in range(len(cfg.channels))])
        self.mid = nnx.List([ResBlock(cfg, top, top, conditioned=False, rngs=rngs) for _ in range(MIDDLE)])
        self.norm_out = GroupNorm(cfg, top, NORM_EPS)
        self.conv_out = CausalConv(cfg, top, 2 * cfg.latent_channels, rngs=rngs)

    def __call__(self, x_BFHWC: jax.Array, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Encode one chunk of pixels in [-1, 1]: ``(moments of 2 C channels, cache)``; ``past`` starts as ``None``."""
        cache = TimeCache(past)
        x = self.conv_in(x_BFHWC.astype(self.cfg.dtype), cache)
        for level in self.down:
            x = level(x, cache)
        for block in self.mid:
            x = block(x, cache)
        x = jax.nn.silu(self.norm_out(x)).astype(self.cfg.dtype)
        return self.conv_out(x, cache), cache.future


class Decoder(nnx.Module):
    """Latents to pixels."""

    def __init__(self, cfg: VAEConfig, *, rngs: nnx.Rngs) -> None:
        self.cfg = cfg
        top = cfg.channels[-1]
        self.conv_in = CausalConv(cfg, cfg.latent_channels, top, rngs=rngs)
        self.mid = nnx.List([ResBlock(cfg, top, top, conditioned=True, rngs=rngs) for _ in range(MIDDLE)])
        self.up = nnx.List([UpLevel(cfg, level, rngs=rngs) for level in range(len(cfg.channels))])
        self.norm_out = SpatialNorm(cfg, cfg.channels[0], rngs=rngs)
        self.conv_out = CausalConv(cfg, cfg.channels[0], cfg.out_channels, rngs=rngs)

    def __call__(self, z_BThwC: jax.Array, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Decode one chunk of unscaled latents: ``(pixels, cache)``; ``past`` starts as ``None``."""
        cache = TimeCache(past)
        z = z_BThwC.astype(self.cfg.dtype)
        x = self.conv_in(z, cache)
        for block in self.mid:
            x = block(x, cache, z)
        for level in self.up:
            x = level(x, cache, z)
        x = jax.nn.silu(self.norm_out(x, z)).astype(self.cfg.dtype)
        return self.conv_out(x, cache), cache.future
