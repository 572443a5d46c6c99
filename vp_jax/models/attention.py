"""The one place where attention is computed; the backend is chosen by name.

==========  ==========================================================================================
``xla``     `jax.nn.dot_product_attention`, any device; materialises the S x S scores
``chunked`` the same over blocks of 512 queries: scores of one block at a time, any device
``cudnn``   fused kernel on NVIDIA GPUs (float16 or bfloat16); a correctness need at full size, where the
            scores of one layer are 121 GB
==========  ==========================================================================================
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from vp_jax.errors import UserError

BACKENDS = ("xla", "chunked", "cudnn")

_QUERY_BLOCK = 512


def check_backend(name: str) -> str:
    """``name`` if it can run here.

    Raises:
      UserError: unknown name, or ``cudnn`` without an NVIDIA GPU.
    """
    if name not in BACKENDS:
        raise UserError(f"attention backend {name!r}: expected one of {', '.join(BACKENDS)}")
    if name == "cudnn" and jax.default_backend() != "gpu":
        raise UserError(f"attention 'cudnn' needs an NVIDIA GPU, this is a {jax.default_backend()}: use 'chunked'")
    return name


def default_backend() -> str:
    """Fused on a GPU, chunked elsewhere."""
    return "cudnn" if jax.default_backend() == "gpu" else "chunked"


def attend(q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array, *, backend: str) -> jax.Array:
    """``softmax(q k^T / sqrt(A)) v`` per head, softmax in float32.

    Args:
      q_BSKA: queries.
      k_BSKA, v_BSKA: keys and values; their S may differ from the queries'.
      backend: see the table above.

    Returns:
      (B, S, K, A) of the queries' length and type.
    """
    if backend == "cudnn":
        return jax.nn.dot_product_attention(q_BSKA, k_BSKA, v_BSKA, implementation="cudnn")
    if backend == "xla":
        return jax.nn.dot_product_attention(q_BSKA, k_BSKA, v_BSKA, implementation="xla")
    if backend == "chunked":
        return _chunked(q_BSKA, k_BSKA, v_BSKA)
    raise ValueError(f"attention backend {backend!r}: expected one of {BACKENDS}")


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
