"""The one place where attention is computed; the backend is chosen by name.

On a mesh each device computes whole sequences of a share of the heads (`sharding.with_whole_sequences`), whatever the
backend.

==========  ==========================================================================================
``xla``     `jax.nn.dot_product_attention`, any device; materialises the S x S scores
``chunked`` the same over blocks of 512 queries: scores of one block at a time, any device
``cudnn``   fused kernel on NVIDIA GPUs (float16 or bfloat16); a correctness need at full size, where the
            scores of one layer are 121 GB
``splash``  fused Pallas kernel on TPUs (`vp_jax.models.splash`); the same need
==========  ==========================================================================================
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.models import splash

BACKENDS = ("xla", "chunked", "cudnn", "splash")

SAVED = "attention"
"""Name of attention outputs (and splash's log-sum-exp) for rematerialisation policies."""

_QUERY_BLOCK = 512


def check_backend(name: str, platform: str | None = None) -> str:
    """``name`` if it can run on ``platform``, default this machine's.

    Raises:
      UserError: unknown name, ``cudnn`` without an NVIDIA GPU, ``splash`` without a TPU.
    """
    if name not in BACKENDS:
        raise UserError(f"attention backend {name!r}: expected one of {', '.join(BACKENDS)}")
    platform = platform or jax.default_backend()
    for fused, needed, device in (("cudnn", "gpu", "an NVIDIA GPU"), ("splash", "tpu", "a TPU")):
        if name == fused and platform != needed:
            raise UserError(f"attention {name!r} needs {device}, this is a {platform}: use 'chunked'")
    return name


def default_backend(platform: str | None = None) -> str:
    """Fused on a GPU and on a TPU, chunked elsewhere; ``platform`` defaults to this machine's."""
    return {"gpu": "cudnn", "tpu": "splash"}.get(platform or jax.default_backend(), "chunked")


def attend(q_BSKA: jax.Array, *keys_values_BSKA: jax.Array, backend: str) -> jax.Array:
    """``softmax(q k^T / sqrt(A)) v`` per head, softmax in float32.

    Args:
      q_BSKA: queries.
      keys_values_BSKA: keys, values; or keys, values, more keys, more values ...: one softmax over all of them. Given
        apart rather than concatenated, a divided sequence is exchanged once and joined where it is whole.
      backend: see the table above.

    Returns:
      (B, S, K, A) of the queries' length and type.
    """
    if backend not in BACKENDS:
        raise ValueError(f"attention backend {backend!r}: expected one of {BACKENDS}")

    def whole(q_BSKA: jax.Array, *pairs: jax.Array) -> jax.Array:
        k, v = (parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1) for parts in (pairs[::2], pairs[1::2]))
        if backend == "splash":
            return splash.attend(q_BSKA, k, v, device_kind=sharding.device_kind(), save_as=SAVED)
        if backend == "chunked":
            return _chunked(q_BSKA, k, v)
        return jax.nn.dot_product_attention(q_BSKA, k, v, implementation="cudnn" if backend == "cudnn" else "xla")

    return checkpoint_name(sharding.with_whole_sequences(whole, q_BSKA, *keys_values_BSKA), SAVED)


def _chunked(q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array) -> jax.Array:
    B, S, K, A = q_BSKA.shape
    if S <= _QUERY_BLOCK:
        return jax.nn.dot_product_attention(q_BSKA, k_BSKA, v_BSKA, implementation="xla")
    blocks = math.ceil(S / _QUERY_BLOCK)
    block = math.ceil(S / blocks)
    padded = jnp.pad(q_BSKA, ((0, 0), (0, blocks * block - S), (0, 0), (0, 0)))
    queries = padded.reshape(B, blocks, block, K, A).swapaxes(0, 1)
    out = jax.lax.map(lambda q: jax.nn.dot_product_attention(q, k_BSKA, v_BSKA, implementation="xla"), queries)
    return out.swapaxes(0, 1).reshape(B, blocks * block, K, A)[:, :S]
