"""Encoder and decoder of small autoencoders: a linear map of blocks, and convolutions that correct it.

    z = P (b - m) + f(x)          y = Q z + m + g(z)

b is a block of 4 frames of 8x8 pixels; P and Q are the principal components of blocks, so an autoencoder starts where a
linear one ends (`pca`), and f and g start at zero. The first frame of a clip stands for 4 equal ones. f and g see
blocks of 4x4 pixels first and 8x8 pixels then; only their 3x3x3 convolutions, one per level of latents, see other
latent frames, the past alone.

Norms are those of one position: a hole changes the latents near it and no others. In the group norms of CogVideoX's
autoencoder it changes every latent of the chunk.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae.convs import Cache, CausalConv, FrameConv, PointConv, TimeCache, conv2d
from vp_jax.models.vae.layers import NORM_EPS
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE

INNER_BLOCK = 4
"""Rows and columns of the pixel blocks that the first and the last convolutions see."""

FIRST_LOGVAR = -6.0
"""Log-variance of the posterior before the first step: noise of a twentieth of a whitened latent."""


def to_blocks(x_BFHWC: jax.Array, size: int) -> jax.Array:
    """Values of blocks of 4 frames of ``size`` x ``size`` pixels: (B, F / 4, H / size, W / size, 4 size size C)."""
    B, F, H, W, C = x_BFHWC.shape
    x = x_BFHWC.reshape(B, F // 4, 4, H // size, size, W // size, size, C).transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(B, F // 4, H // size, W // size, -1)


def from_blocks(x_BThwC: jax.Array, size: int) -> jax.Array:
    """Pixels of blocks, the inverse of `to_blocks`."""
    B, T, h, w, values = x_BThwC.shape
    x = x_BThwC.reshape(B, T, h, w, 4, size, size, values // (4 * size * size)).transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(B, 4 * T, h * size, w * size, -1)


def _halve(x_BFHWC: jax.Array) -> jax.Array:
    """Four neighbouring cells as channels of one."""
    B, T, H, W, C = x_BFHWC.shape
    return x_BFHWC.reshape(B, T, H // 2, 2, W // 2, 2, C).swapaxes(3, 4).reshape(B, T, H // 2, W // 2, 4 * C)


def _double(x_BFHWC: jax.Array) -> jax.Array:
    """Channels of one cell as four neighbouring cells, the inverse of `_halve`."""
    B, T, H, W, C = x_BFHWC.shape
    return x_BFHWC.reshape(B, T, H, W, 2, 2, C // 4).swapaxes(3, 4).reshape(B, T, 2 * H, 2 * W, C // 4)


def four_first(x_BFHWC: jax.Array) -> jax.Array:
    """The first chunk of a clip, 4 n + 1 frames, with its first frame four times."""
    return jnp.concatenate([jnp.repeat(x_BFHWC[:, :1], TEMPORAL_STRIDE - 1, axis=1), x_BFHWC], axis=1)


def one_first(x_BFHWC: jax.Array) -> jax.Array:
    """The first chunk of a clip with the mean of its first four frames in their place."""
    return jnp.concatenate([x_BFHWC[:, :TEMPORAL_STRIDE].mean(1, keepdims=True), x_BFHWC[:, TEMPORAL_STRIDE:]], axis=1)


def _unit(x_BFHWC: jax.Array) -> jax.Array:
    """Channels of every position with a mean square of 1."""
    x = x_BFHWC.astype(jnp.float32)
    return (x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + NORM_EPS)).astype(x_BFHWC.dtype)


class Conv(FrameConv):
    """3x3 convolution of every frame.

    Args:
      cfg: description of the VAE.
      d_in: input channels.
      d_out: output channels.
      zero: start at zero.
      rngs: random keys of the weights.
    """

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, zero: bool = False, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, d_in, d_out, rngs=rngs)
        if zero:
            self.kernel = nnx.Param(jnp.zeros_like(self.kernel[...]))

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        """Convolve one chunk."""
        kernel, bias = self.weights(self.cfg.dtype)
        return conv2d(x_BFHWC, kernel) + bias


class Correction(nnx.Module):
    """Residual block ``x + conv2(silu(unit(conv1(silu(unit(x))))))`` that starts as the identity.

    Args:
      cfg: description of the VAE.
      dim: channels.
      causal: the first convolution sees two past latent frames.
      rngs: random keys of the weights.
    """

    def __init__(self, cfg: VAEConfig, dim: int, *, causal: bool = False, rngs: nnx.Rngs) -> None:
        self.conv1 = CausalConv(cfg, dim, dim, rngs=rngs) if causal else Conv(cfg, dim, dim, rngs=rngs)
        self.conv2 = Conv(cfg, dim, dim, zero=True, rngs=rngs)

    @jax.named_scope("Correction")
    def __call__(self, x_BFHWC: jax.Array, cache: TimeCache) -> jax.Array:
        """One chunk through the block."""
        h = jax.nn.silu(_unit(x_BFHWC))
        h = self.conv1(h, cache) if isinstance(self.conv1, CausalConv) else self.conv1(h)
        result: jax.Array = x_BFHWC + self.conv2(jax.nn.silu(_unit(h)))
        return result


def _level(cfg: VAEConfig, dim: int, count: int, *, causal: bool, rngs: nnx.Rngs) -> nnx.List[Correction]:
    return nnx.List([Correction(cfg, dim, causal=causal and i == 0, rngs=rngs) for i in range(count)])


class LogVariance(nnx.Module):
    """Log-variance of the posterior, one number per channel."""

    def __init__(self, cfg: VAEConfig) -> None:
        self.bias = nnx.Param(jnp.full((cfg.latent_channels,), FIRST_LOGVAR, jnp.dtype(cfg.param_dtype)))

    def __call__(self, mean_BThwC: jax.Array) -> jax.Array:
        """The log-variance of every latent, in the shape and type of the means."""
        bias = self.bias[...].astype(mean_BThwC.dtype)[None, None, None, None, :]
        return jnp.broadcast_to(bias, mean_BThwC.shape)


class BlockEncoder(nnx.Module):
    """Pixels to mean and log-variance of the latents."""

    def __init__(self, cfg: VAEConfig, *, rngs: nnx.Rngs) -> None:
        self.cfg = cfg
        inner, outer = cfg.channels
        values = TEMPORAL_STRIDE * cfg.in_channels
        self.linear = PointConv(cfg, values * SPATIAL_STRIDE**2, cfg.latent_channels, rngs=rngs)
        self.conv_in = PointConv(cfg, values * INNER_BLOCK**2, inner, rngs=rngs)
        self.inner = _level(cfg, inner, cfg.layers_per_block, causal=False, rngs=rngs)
        self.down = PointConv(cfg, 4 * inner, outer, rngs=rngs)
        self.outer = _level(cfg, outer, cfg.layers_per_block, causal=True, rngs=rngs)
        self.conv_out = Conv(cfg, outer, cfg.latent_channels, zero=True, rngs=rngs)
        self.logvar = LogVariance(cfg)

    def __call__(self, x_BFHWC: jax.Array, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Encode one chunk of pixels in [-1, 1]: ``(moments of 2 C channels, cache)``; ``past`` starts as ``None``.

        Raises:
          ValueError: the first chunk is not of 4 n + 1 frames, or a later one not of 4 n.
        """
        frames = x_BFHWC.shape[1]
        if frames % TEMPORAL_STRIDE != (past is None):
            raise ValueError(f"{frames} frames: expected 4 n + 1 in the first chunk of a clip and 4 n in the others")
        cache = TimeCache(past)
        x = x_BFHWC.astype(self.cfg.dtype)
        x = four_first(x) if past is None else x
        h = self.conv_in(to_blocks(x, INNER_BLOCK))
        for block in self.inner:
            h = block(h, cache)
        h = self.down(_halve(h))
        for block in self.outer:
            h = block(h, cache)
        mean = self.linear(to_blocks(x, SPATIAL_STRIDE)) + self.conv_out(_unit(h))
        return jnp.concatenate([mean, self.logvar(mean)], axis=-1), cache.future


class BlockDecoder(nnx.Module):
    """Latents to pixels; the last level has one block more than that of the encoder."""

    def __init__(self, cfg: VAEConfig, *, rngs: nnx.Rngs) -> None:
        self.cfg = cfg
        inner, outer = cfg.channels
        values = TEMPORAL_STRIDE * cfg.out_channels
        self.linear = PointConv(cfg, cfg.latent_channels, values * SPATIAL_STRIDE**2, rngs=rngs)
        self.conv_in = Conv(cfg, cfg.latent_channels, outer, rngs=rngs)
        self.outer = _level(cfg, outer, cfg.layers_per_block, causal=True, rngs=rngs)
        self.up = PointConv(cfg, outer, 4 * inner, rngs=rngs)
        self.inner = _level(cfg, inner, cfg.layers_per_block + 1, causal=False, rngs=rngs)
        self.conv_out = Conv(cfg, inner, values * INNER_BLOCK**2, zero=True, rngs=rngs)

    def __call__(self, z_BThwC: jax.Array, past: Cache | None) -> tuple[jax.Array, Cache]:
        """Decode one chunk of latents: ``(pixels, cache)``; ``past`` starts as ``None``."""
        cache = TimeCache(past)
        z = z_BThwC.astype(self.cfg.dtype)
        h = self.conv_in(z)
        for block in self.outer:
            h = block(h, cache)
        h = _double(self.up(h))
        for block in self.inner:
            h = block(h, cache)
        x = from_blocks(self.linear(z), SPATIAL_STRIDE) + from_blocks(self.conv_out(_unit(h)), INNER_BLOCK)
        return one_first(x) if past is None else x, cache.future


def pca(weights: trees.Tree, clips_BFHWC: np.ndarray) -> trees.Tree:
    """Weights whose linear maps are the whitened principal components of the blocks of clips.

    Args:
      weights: of an autoencoder of this design, in float32.
      clips_BFHWC: uint8, 4 n + 1 frames each, at least as many blocks as a block has values.

    Raises:
      ValueError: too few blocks.
    """
    pixels = clips_BFHWC[:, 1:].astype(np.float32) / 127.5 - 1
    blocks = np.asarray(to_blocks(jnp.asarray(pixels), SPATIAL_STRIDE))
    blocks = blocks.reshape(-1, blocks.shape[-1])
    count, values = blocks.shape
    if count < values:
        raise ValueError(f"{count} blocks: expected at least {values}, the values of one")
    mean = blocks.mean(0)
    power, axes = np.linalg.eigh((blocks - mean).T @ (blocks - mean) / count)
    flat = dict(trees.flatten(weights))
    kept = flat["encoder/linear/bias"].shape[0]
    axes, deviation = axes[:, ::-1][:, :kept], np.sqrt(np.maximum(power[::-1][:kept], 1e-12))
    whiten, colour = axes / deviation, (axes * deviation).T
    flat["encoder/linear/kernel"], flat["encoder/linear/bias"] = whiten[None, None, None], -mean @ whiten
    flat["decoder/linear/kernel"], flat["decoder/linear/bias"] = colour[None, None, None], mean
    return trees.unflatten({path: jnp.asarray(leaf, jnp.float32) for path, leaf in flat.items()})
