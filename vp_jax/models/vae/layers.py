"""Blocks of the causal 3-D VAE: norms, residual block, halving and doubling of space and time.

Spatial norm of the decoder (CogVideoX, arXiv 2408.06072; after MoVQ, arXiv 2209.09002), with z the latents of the
chunk, resized to the size of f by nearest neighbour::

    SpatialNorm(f, z) = GroupNorm(f) * (W_y z + b_y) + (W_b z + b_b)

The resize copies cells and the maps act on each cell, so they commute: the maps run on the latent grid and are repeated
only inside the product, without storing arrays of the size of f.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from vp_jax.models.config import VAEConfig
from vp_jax.models.vae.convs import CausalConv, FrameConv, PointConv, TimeCache, frame_conv

NORM_EPS = 1e-6
"""Epsilon of the norms whose epsilon is not in the checkpoint's configuration."""


class GroupNorm(nnx.Module):
    """Normalisation over frames, rows, columns and the channels of a group, computed in float32.

    Means are taken per channel first, then over the channels of a group. With channels last that is 3x faster on a CPU
    than reducing both parts of a split channel axis. The variance is computed in two passes.
    """

    def __init__(self, cfg: VAEConfig, dim: int, eps: float) -> None:
        self.groups, self.eps = cfg.groups, eps
        self.scale = nnx.Param(jnp.ones((dim,), jnp.dtype(cfg.param_dtype)))
        self.bias = nnx.Param(jnp.zeros((dim,), jnp.dtype(cfg.param_dtype)))

    def _group_mean(self, x_BFHWC: jax.Array) -> jax.Array:
        B, *_, C = x_BFHWC.shape
        means = x_BFHWC.mean((1, 2, 3)).reshape(B, self.groups, -1).mean(-1, keepdims=True)
        return jnp.broadcast_to(means, (B, self.groups, C // self.groups)).reshape(B, 1, 1, 1, C)

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        """Normalised input, float32."""
        x = x_BFHWC.astype(jnp.float32)
        mean = self._group_mean(x)
        variance = self._group_mean(jnp.square(x - mean))
        scale, bias = (p[...].astype(jnp.float32)[None, None, None, None, :] for p in (self.scale, self.bias))
        return (x - mean) * (lax.rsqrt(variance + self.eps) * scale) + bias


def repeat_time(x_BFHWC: jax.Array, frames: int) -> jax.Array:
    """Resize time to ``frames`` by repeating frames; for an odd number the first frame is not repeated."""
    if x_BFHWC.shape[1] == frames:
        return x_BFHWC
    head = frames % 2
    times = (frames - head) // (x_BFHWC.shape[1] - head)
    return jnp.concatenate([x_BFHWC[:, :head], jnp.repeat(x_BFHWC[:, head:], times, axis=1)], axis=1)


class SpatialNorm(nnx.Module):
    """GroupNorm whose scale and shift are linear maps of the latents, see the module docstring."""

    def __init__(self, cfg: VAEConfig, dim: int, *, rngs: nnx.Rngs) -> None:
        self.norm = GroupNorm(cfg, dim, NORM_EPS)
        self.conv_y = PointConv(cfg, cfg.latent_channels, dim, rngs=rngs)
        self.conv_b = PointConv(cfg, cfg.latent_channels, dim, rngs=rngs)

    def __call__(self, f_BFHWC: jax.Array, z_BThwC: jax.Array) -> jax.Array:
        """Normalised ``f``, float32; its size is a multiple of that of the chunk's latents ``z``."""
        B, F, H, W, C = f_BFHWC.shape
        _, _, h, w, _ = z_BThwC.shape
        z = z_BThwC.astype(jnp.float32)
        scale, shift = (repeat_time(conv(z), F).reshape(B, F, h, 1, w, 1, C) for conv in (self.conv_y, self.conv_b))
        normed = self.norm(f_BFHWC).reshape(B, F, h, H // h, w, W // w, C)
        return (normed * scale + shift).reshape(B, F, H, W, C)


class ResBlock(nnx.Module):
    """Residual block ``x + conv2(silu(norm2(conv1(silu(norm1(x))))))``, with a linear map of x if the width changes.

    Args:
      cfg: description of the VAE.
      d_in: input channels.
      d_out: output channels.
      conditioned: use spatial norms, which see the latents (decoder).
      rngs: random keys of the weights.
    """

    def __init__(self, cfg: VAEConfig, d_in: int, d_out: int, *, conditioned: bool, rngs: nnx.Rngs) -> None:
        self.cfg = cfg

        def norm(dim: int) -> SpatialNorm | GroupNorm:
            return SpatialNorm(cfg, dim, rngs=rngs) if conditioned else GroupNorm(cfg, dim, cfg.norm_eps)

        self.norm1, self.norm2 = norm(d_in), norm(d_out)
        self.conv1 = CausalConv(cfg, d_in, d_out, rngs=rngs)
        self.conv2 = CausalConv(cfg, d_out, d_out, rngs=rngs)
        self.shortcut = PointConv(cfg, d_in, d_out, rngs=rngs) if d_in != d_out else None

    @jax.named_scope("ResBlock")
    def __call__(self, x_BFHWC: jax.Array, cache: TimeCache, z_BThwC: jax.Array | None = None) -> jax.Array:
        """One chunk through the block; ``z`` are its latents, for spatial norms."""
        condition = () if z_BThwC is None else (z_BThwC,)
        h = jax.nn.silu(self.norm1(x_BFHWC, *condition)).astype(self.cfg.dtype)
        h = self.conv1(h, cache)
        h = jax.nn.silu(self.norm2(h, *condition)).astype(self.cfg.dtype)
        h = self.conv2(h, cache)
        return h + (self.shortcut(x_BFHWC) if self.shortcut else x_BFHWC)


class Downsample(FrameConv):
    """Halves rows and columns (rounded down) and, with ``time``, the frames.

    Pairs of frames are averaged; the first frame of an odd number stays alone.
    """

    def __init__(self, cfg: VAEConfig, dim: int, *, time: bool, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, dim, dim, rngs=rngs)
        self.time = time

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        """Halve one chunk."""
        B, F, H, W, C = x_BFHWC.shape
        if self.time and F > 1:
            head, rest = x_BFHWC[:, : F % 2], x_BFHWC[:, F % 2 :].astype(jnp.float32)
            rest = rest.reshape(B, F // 2, 2, H, W, C).mean(2).astype(x_BFHWC.dtype)
            x_BFHWC = jnp.concatenate([head, rest], axis=1)
        kernel, bias = self.weights(self.cfg.dtype)
        y = frame_conv(x_BFHWC.reshape(-1, H, W, C), kernel, 2, ((0, 1), (0, 1)))
        return y.reshape(B, -1, *y.shape[1:]) + bias


MERGE = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], np.float32)
"""Which of 3 taps over doubled cells fall on the first and on the second of two cells, for even and odd outputs."""


class Upsample(FrameConv):
    """Doubles rows and columns by nearest neighbour, convolves, and doubles the frames with ``time``.

    The first frame of an odd number is not repeated. Cells are not copied before the convolution: the 3x3 window of an
    output covers 2x2 different cells, so four sets of 2x2 sums of taps, one per output parity, need 4/9 of the products
    (2x faster on a CPU). Frames are repeated last.
    """

    def __init__(self, cfg: VAEConfig, dim: int, *, time: bool, rngs: nnx.Rngs) -> None:
        super().__init__(cfg, dim, dim, rngs=rngs)
        self.time = time

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        """Double one chunk."""
        B, F, H, W, C = x_BFHWC.shape
        kernel, bias = self.weights("float32")
        merged = jnp.einsum("pra,qsb,abio->rsipqo", MERGE, MERGE, kernel, precision=lax.Precision.HIGHEST)
        y = frame_conv(
            x_BFHWC.reshape(B * F, H, W, C), merged.reshape(2, 2, C, -1).astype(self.cfg.dtype), 1, ((1, 1), (1, 1))
        ).reshape(B, F, H + 1, W + 1, 2, 2, -1)
        rows = [jnp.stack([y[:, :, p : p + H, q : q + W, p, q] for q in (0, 1)], axis=4) for p in (0, 1)]
        y = jnp.stack(rows, axis=3).reshape(B, F, 2 * H, 2 * W, -1) + bias.astype(self.cfg.dtype)
        return repeat_time(y, 2 * F - F % 2) if self.time else y
