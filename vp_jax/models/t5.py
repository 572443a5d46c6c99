"""T5-v1.1 text encoder: token ids in, one embedding per token out.

With ``x`` the embedded tokens (not multiplied by sqrt(E)), each block computes

    x <- x + Attn(RMS(x)) W_o,           Attn = softmax(q k^T + bias) v     (no 1/sqrt(A): folded into the weights)
    x <- x + (GELU(y W_gate) * (y W_up)) W_down,    y = RMS(x)

and the result is ``RMS(x)``. Linear maps have no bias, ``RMS(x) = x / sqrt(mean(x^2) + eps) * scale`` does not subtract
the mean, and GELU is the tanh approximation. ``bias[k, i, j]`` is a learned number for each head and bucket of
``j - i``; all layers share one table. Sources: arXiv 1910.10683 (model; section 2.1, position buckets), 2002.05202
(gated GELU).

CogVideoX attends to all 226 positions, padding included, without a mask.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax.models.config import T5Config


def position_buckets(length: int, buckets: int, max_distance: int) -> np.ndarray:
    """Bucket of every pair (query i, key j), int32 ``(M, M)`` in ``[0, buckets)``.

    Half of the buckets are for keys after the query. In each half, the first buckets hold one distance each (0, 1, 2
    ...); the others grow logarithmically up to ``max_distance``, and all larger distances share the last one.
    """
    offset_MM = np.arange(length)[None, :] - np.arange(length)[:, None]
    side = buckets // 2
    exact = side // 2
    distance_MM = np.abs(offset_MM)
    # in float32 as in the trained model: rounding decides the bucket of a distance at an edge
    ratio_MM = np.log(np.maximum(distance_MM, 1).astype(np.float32) / np.float32(exact))
    far_MM = ratio_MM / np.float32(np.log(max_distance / exact)) * np.float32(side - exact)
    far_MM = np.minimum(exact + far_MM.astype(np.int32), side - 1)
    bucket_MM = np.where(distance_MM < exact, distance_MM, far_MM) + side * (offset_MM > 0)
    result: np.ndarray = bucket_MM.astype(np.int32)
    return result


def _linear(cfg: T5Config, inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(
        inputs, outputs, use_bias=False, dtype=jnp.dtype(cfg.dtype), param_dtype=jnp.dtype(cfg.param_dtype), rngs=rngs
    )


class RMSNorm(nnx.Module):
    """Root mean square norm, computed in float32 and returned in the compute type."""

    def __init__(self, cfg: T5Config) -> None:
        self.scale = nnx.Param(jnp.ones((cfg.dim,), jnp.dtype(cfg.param_dtype)))
        self.cfg = cfg

    def __call__(self, x_BME: jax.Array) -> jax.Array:
        """Normalised input (B, M, E), compute type."""
        x_BME = x_BME.astype(jnp.float32)
        power_BM1 = jnp.mean(jnp.square(x_BME), axis=-1, keepdims=True)
        y_BME = x_BME * jax.lax.rsqrt(power_BM1 + self.cfg.norm_eps)
        result: jax.Array = (y_BME * self.scale.astype(jnp.float32)[None, None, :]).astype(self.cfg.dtype)
        return result


class T5Attention(nnx.Module):
    """Self-attention with an additive position bias and no scaling of the logits."""

    def __init__(self, cfg: T5Config, *, rngs: nnx.Rngs) -> None:
        inner = cfg.num_heads * cfg.head_dim
        self.to_q = _linear(cfg, cfg.dim, inner, rngs)
        self.to_k = _linear(cfg, cfg.dim, inner, rngs)
        self.to_v = _linear(cfg, cfg.dim, inner, rngs)
        self.to_out = _linear(cfg, inner, cfg.dim, rngs)
        self.cfg = cfg

    def __call__(self, x_BME: jax.Array, bias_1KMM: jax.Array, mask_B11M: jax.Array | None) -> jax.Array:
        """Attention (B, M, E) with a position bias; ``mask_B11M`` is True where a token may be attended to."""
        batch, length, _ = x_BME.shape
        heads = (batch, length, self.cfg.num_heads, self.cfg.head_dim)
        q_BMKA, k_BMKA, v_BMKA = (to(x_BME).reshape(heads) for to in (self.to_q, self.to_k, self.to_v))
        y_BMKA = jax.nn.dot_product_attention(q_BMKA, k_BMKA, v_BMKA, bias=bias_1KMM, mask=mask_B11M, scale=1.0)
        return self.to_out(y_BMKA.reshape(batch, length, -1))


class T5FeedForward(nnx.Module):
    """Feed-forward with a gated tanh-GELU."""

    def __init__(self, cfg: T5Config, *, rngs: nnx.Rngs) -> None:
        self.gate = _linear(cfg, cfg.dim, cfg.ff_dim, rngs)
        self.up = _linear(cfg, cfg.dim, cfg.ff_dim, rngs)
        self.down = _linear(cfg, cfg.ff_dim, cfg.dim, rngs)

    def __call__(self, x_BME: jax.Array) -> jax.Array:
        """Feed-forward of every token (B, M, E)."""
        return self.down(jax.nn.gelu(self.gate(x_BME), approximate=True) * self.up(x_BME))


class T5Block(nnx.Module):
    """Attention, then feed-forward, each on the normalised state. The state stays float32."""

    def __init__(self, cfg: T5Config, *, rngs: nnx.Rngs) -> None:
        self.norm1 = RMSNorm(cfg)
        self.attn = T5Attention(cfg, rngs=rngs)
        self.norm2 = RMSNorm(cfg)
        self.ff = T5FeedForward(cfg, rngs=rngs)

    def __call__(self, x_BME: jax.Array, bias_1KMM: jax.Array, mask_B11M: jax.Array | None) -> jax.Array:
        """State (B, M, E) after the block, float32."""
        x_BME = x_BME + self.attn(self.norm1(x_BME), bias_1KMM, mask_B11M).astype(jnp.float32)
        return x_BME + self.ff(self.norm2(x_BME)).astype(jnp.float32)


class T5Encoder(nnx.Module):
    """The encoder of T5-v1.1; its blocks are stacked on a leading axis and scanned."""

    def __init__(self, cfg: T5Config, *, rngs: nnx.Rngs) -> None:
        param_dtype = jnp.dtype(cfg.param_dtype)
        self.embed = nnx.Embed(cfg.vocab_size, cfg.dim, param_dtype=param_dtype, rngs=rngs)
        self.relative_bias = nnx.Embed(cfg.buckets, cfg.num_heads, param_dtype=param_dtype, rngs=rngs)
        self.blocks = jax.vmap(lambda r: T5Block(cfg, rngs=r))(rngs.split(cfg.num_layers))
        self.norm_out = RMSNorm(cfg)
        self.cfg = cfg

    def __call__(self, ids_BM: jax.Array, mask_BM: jax.Array | None = None) -> jax.Array:
        """Embeddings ``(B, M, E)`` in the compute type.

        Args:
          ids_BM: int32 token ids in ``[0, vocab_size)``.
          mask_BM: 1 where a token may be attended to, 0 elsewhere. ``None`` attends to all, as CogVideoX does.
        """
        chex.assert_rank(ids_BM, 2)
        cfg = self.cfg
        buckets_MM = position_buckets(ids_BM.shape[1], cfg.buckets, cfg.max_distance)
        bias_MMK = self.relative_bias(jnp.asarray(buckets_MM)).astype(jnp.float32)
        bias_1KMM = jnp.transpose(bias_MMK, (2, 0, 1))[None]
        mask_B11M = None if mask_BM is None else mask_BM.astype(bool)[:, None, None, :]

        @jax.named_scope("t5_block")
        def body(x_BME: jax.Array, block: T5Block) -> tuple[jax.Array, None]:
            return block(x_BME, bias_1KMM, mask_B11M), None

        x_BME, _ = jax.lax.scan(body, self.embed(ids_BM).astype(jnp.float32), self.blocks)
        return self.norm_out(x_BME)


@jax.jit
def encode_text(t5: T5Encoder, ids_BM: jax.Array) -> jax.Array:
    """Text embeddings ``(B, M, E)`` for CogVideoX, which attends to every position, padding included.

    Args:
      t5: the encoder.
      ids_BM: int32 ids from `vp_jax.models.tokenizer.Tokenizer.encode`, padded to M.
    """
    return t5(ids_BM)
