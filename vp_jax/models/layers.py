"""Layers of the diffusion transformer: norms, modulation, feed-forward, time and patch embedding.

Norms, modulation and gates are computed in float32 and cast to the compute type at the matrix products. Text and video
share every weight; only shift, scale and gate differ. The joint sequence is therefore never split: `per_token` picks
the text or the video row of the modulation for each token, which XLA fuses into neighbouring elementwise operations.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from vp_jax.errors import UserError
from vp_jax.models import rope
from vp_jax.models.config import DiTConfig
from vp_jax.models.int8 import Int8Linear
from vp_jax.models.products import bfloat16_dot_general
from vp_jax.shapes import SPATIAL_STRIDE, latent_frames
from vp_jax.sharding import constrain
from vp_jax.trees import Buffer


def linear(n_in: int, n_out: int, cfg: DiTConfig, *, rngs: nnx.Rngs, bias: bool = True) -> nnx.Linear:
    """Dense layer with the types of the description."""
    return nnx.Linear(
        n_in,
        n_out,
        use_bias=bias,
        dtype=jnp.dtype(cfg.dtype),
        param_dtype=jnp.dtype(cfg.param_dtype),
        dot_general=bfloat16_dot_general if cfg.products == "bfloat16" else lax.dot_general,
        rngs=rngs,
    )


def block_linear(n_in: int, n_out: int, cfg: DiTConfig, *, rngs: nnx.Rngs) -> nnx.Linear | Int8Linear:
    """Dense layer of a block, in the form of ``cfg.weights``."""
    if cfg.weights == "int8":
        return Int8Linear(n_in, n_out, dtype=jnp.dtype(cfg.dtype), param_dtype=jnp.dtype(cfg.param_dtype))
    return linear(n_in, n_out, cfg, rngs=rngs)


def layer_norm(size: int, epsilon: float, cfg: DiTConfig, *, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Affine LayerNorm computed and returned in float32."""
    return nnx.LayerNorm(
        size,
        epsilon=epsilon,
        use_fast_variance=False,
        dtype=jnp.float32,
        param_dtype=jnp.dtype(cfg.param_dtype),
        rngs=rngs,
    )


def per_token(text_BD: jax.Array, video_BD: jax.Array, text_len: int, seq_len: int) -> jax.Array:
    """Give each token a row: the text row to the first ``text_len`` tokens, the video row to the others (B, S, D)."""
    is_text_S = jnp.arange(seq_len) < text_len
    return jnp.where(is_text_S[None, :, None], text_BD[:, None, :], video_BD[:, None, :])


class Modulated(NamedTuple):
    """Result of `ModulatedNorm`.

    Attributes:
      y_BSD: normalised, scaled and shifted input, compute type.
      gate_BSD: factor of what the layer adds to the input, float32.
    """

    y_BSD: jax.Array
    gate_BSD: jax.Array


class ModulatedNorm(nnx.Module):
    """``LayerNorm(x) * (1 + scale) + shift`` with shift, scale, gate from the time embedding (expert adaptive norm).

    Source: arXiv 2408.06072, section 2.2.
    """

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.linear = linear(cfg.time_dim, 6 * cfg.dim, cfg, rngs=rngs)
        self.norm = layer_norm(cfg.dim, cfg.norm_eps, cfg, rngs=rngs)

    def __call__(self, x_BSD: jax.Array, emb_BE: jax.Array, text_len: int) -> Modulated:
        """Modulate ``x`` by the time embedding; the first ``text_len`` tokens are text."""
        rows = jnp.split(constrain(self.linear(nnx.silu(emb_BE)), "vectors").astype(jnp.float32), 6, axis=-1)
        shift, scale, gate = (
            per_token(text, video, text_len, x_BSD.shape[1]) for video, text in zip(rows[:3], rows[3:])
        )
        return Modulated((self.norm(x_BSD) * (1.0 + scale) + shift).astype(x_BSD.dtype), gate)


class FeedForward(nnx.Module):
    """Two linear maps, D to 4D and back, with a tanh-approximate GELU between them."""

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.up = block_linear(cfg.dim, 4 * cfg.dim, cfg, rngs=rngs)
        self.down = block_linear(4 * cfg.dim, cfg.dim, cfg, rngs=rngs)

    def __call__(self, x_BSD: jax.Array) -> jax.Array:
        """Feed-forward of every token (B, S, D)."""
        return self.down(nnx.gelu(constrain(self.up(x_BSD), "hidden"), approximate=True))


def sinusoid(t_B: jax.Array, width: int) -> jax.Array:
    """Cosines, then sines, of the times at ``width / 2`` frequencies ``10000 ** (-2j / width)``, float32 (B, width)."""
    half = width // 2
    # the released model has float32 exponents: at t = 999 their rounding shifts the phase by up to 6e-5
    exponents = np.float32(-np.log(10000.0)) * np.arange(half, dtype=np.float32) / np.float32(half)
    frequencies = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = t_B.astype(jnp.float32)[:, None] * jnp.asarray(frequencies)[None, :]
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class SinusoidEmbedding(nnx.Module):
    """Embed scalars: sinusoid (cosines first, base 10000), linear, SiLU, linear."""

    def __init__(self, width: int, out: int, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.linear_1 = linear(width, out, cfg, rngs=rngs)
        self.linear_2 = linear(out, out, cfg, rngs=rngs)
        self.width = width

    def __call__(self, t_B: jax.Array) -> jax.Array:
        """Embedding (B, E) of scalars."""
        wave = sinusoid(t_B, self.width)
        return constrain(self.linear_2(nnx.silu(self.linear_1(wave.astype(self.linear_1.dtype)))), "vectors")


def patchify(x_BThwC: jax.Array, cfg: DiTConfig) -> jax.Array:
    """One row (B, N, V) per token, with values ordered channel, (frame), row, column as in the checkpoints."""
    B, T, h, w, C = x_BThwC.shape
    p, pt = cfg.patch, cfg.patch_t or 1
    if T % pt or h % p or w % p:
        raise ValueError(f"latents {T}x{h}x{w} do not divide into patches of {pt}x{p}x{p}")
    x = x_BThwC.reshape(B, T // pt, pt, h // p, p, w // p, p, C)
    return x.transpose(0, 1, 3, 5, 7, 2, 4, 6).reshape(B, -1, C * pt * p * p)


def unpatchify(x_BNV: jax.Array, frames: int, rows: int, columns: int, cfg: DiTConfig) -> jax.Array:
    """Turn the tokens of the output channels back into latents (B, T, h, w, C), the inverse of `patchify`."""
    p, pt, C = cfg.patch, cfg.patch_t or 1, cfg.out_channels
    x = x_BNV.reshape(x_BNV.shape[0], frames // pt, rows // p, columns // p, C, pt, p, p)
    return x.transpose(0, 1, 5, 2, 6, 3, 7, 4).reshape(-1, frames, rows, columns, C)


class PatchEmbed(nnx.Module):
    """Embed text and patches as the joint sequence [text, video], plus the position table of models that add one."""

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.cfg = cfg
        self.proj = linear(cfg.patch_values, cfg.dim, cfg, rngs=rngs, bias=cfg.patch_bias)
        self.text_proj = linear(cfg.text_dim, cfg.dim, cfg, rngs=rngs)
        if cfg.learned_positions:
            self.pos_embedding = Buffer(self._sincos(*self._native_grid()).astype(cfg.param_dtype))

    def _native_grid(self) -> tuple[int, int, int]:
        cfg = self.cfg
        return latent_frames(cfg.sample_frames), cfg.sample_height // cfg.patch, cfg.sample_width // cfg.patch

    def _sincos(self, frames: int, rows: int, columns: int) -> jax.Array:
        cfg = self.cfg
        return rope.sincos_table(
            frames,
            rows,
            columns,
            cfg.dim,
            cfg.max_text_len,
            spatial_scale=cfg.spatial_interpolation,
            temporal_scale=cfg.temporal_interpolation,
        )

    def _positions(self, frames: int, rows: int, columns: int) -> jax.Array | None:
        """Table to add: the stored one at the native size, otherwise sin-cos (a stored one fixes rows and columns)."""
        cfg, grid, native = self.cfg, (frames, rows, columns), self._native_grid()
        if cfg.rope and not cfg.learned_positions:
            return None
        if cfg.learned_positions and grid[1:] != native[1:]:
            side = cfg.patch * SPATIAL_STRIDE
            raise UserError(
                f"size {rows * side}x{columns * side} with a checkpoint whose learned positions are for "
                f"{native[1] * side}x{native[2] * side} only: use that height and width"
            )
        if cfg.learned_positions and grid == native:
            return self.pos_embedding[...]
        return self._sincos(*grid)

    def __call__(self, latents_BThwC: jax.Array, text_BME: jax.Array) -> jax.Array:
        """Embed latents of ``in_channels`` channels and text embeddings as (B, M + N, D).

        Raises:
          UserError: a size that the learned positions do not fit.
        """
        _, T, h, w, _ = latents_BThwC.shape
        cfg = self.cfg
        x_BSD = jnp.concatenate([self.text_proj(text_BME), self.proj(patchify(latents_BThwC, cfg))], axis=1)
        table = self._positions(T // (cfg.patch_t or 1), h // cfg.patch, w // cfg.patch)
        if table is None:
            return x_BSD
        if table.shape[0] != x_BSD.shape[1]:
            raise ValueError(f"{text_BME.shape[1]} text tokens: this model's position table is for {cfg.max_text_len}")
        return x_BSD + table.astype(x_BSD.dtype)[None]
