"""The one place where attention is computed, and the one place that decides how.

==========  =======================================================  ===================  =========================
backend     what it is                                               types                values per head
==========  =======================================================  ===================  =========================
``xla``     `jax.nn.dot_product_attention`, any device; makes the    any                  any
            S x S scores
``chunked`` the same over blocks of 512 queries: scores of one       any                  any
            block at a time, any device
``cudnn``   fused kernels on NVIDIA GPUs since Ampere                bfloat16, float16    multiples of 8 up to 128
            (`vp_jax.models.cudnn`); a correctness need at full
            size, where the scores of one layer are 121 GB
``splash``  fused Pallas kernels on TPUs (`vp_jax.models.splash`);   bfloat16, float32    up to 128, or multiples
            the same need                                                                 of 128
==========  =======================================================  ===================  =========================

`choose` picks the backend of a model. Nobody asked for one: the fused kernels of the device, and ``chunked`` where they
cannot serve the model's type or head size, with one printed line that says why. A backend that was requested by name is
used or is an error, never replaced. Lengths are no part of the choice: every backend takes any.

On a mesh each device computes whole sequences of a share of the heads (`sharding.with_whole_sequences`), whatever the
backend.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.models import cudnn, splash

BACKENDS = ("xla", "chunked", "cudnn", "splash")

FUSED = {"gpu": "cudnn", "tpu": "splash"}
"""The fused backend of each platform that has one."""

SAVED = "attention"
"""Name of attention outputs and of the fused kernels' log-sum-exp for rematerialisation policies."""

_QUERY_BLOCK = 512


def choose(
    requested: str | None = None,
    *,
    dtype: str,
    head_dim: int,
    platform: str | None = None,
    say: Callable[[str], None] = print,
) -> str:
    """The backend that computes the attention of a model.

    Args:
      requested: one of `BACKENDS`; ``None`` or empty: the fastest that serves this model.
      dtype: compute type of the model, such as ``bfloat16``.
      head_dim: values per head, A.
      platform: ``cpu``, ``gpu`` (or ``cuda``) or ``tpu``, for devices that need not be here; default: this machine's,
        whose age and drivers are looked at too.
      say: prints the line about a fused backend that cannot serve the model; of several processes the first prints.

    Raises:
      UserError: the requested backend is unknown, or cannot compute this model on this platform.
    """
    here = platform is None
    platform = {"cuda": "gpu"}.get(platform or "", platform) or jax.default_backend()
    if requested and requested not in BACKENDS:
        raise UserError(f"attention backend {requested!r}: expected one of {', '.join(BACKENDS)}")
    backend = requested or FUSED.get(platform, "chunked")
    reason = _obstacle(backend, jnp.dtype(dtype).name, head_dim, platform, here=here)
    if reason is None:
        return backend
    if requested:
        raise UserError(f"attention {requested!r} {reason}: leave the choice open, or use 'chunked'")
    if jax.process_index() == 0:
        say(f"attention 'chunked', slower than {backend!r}, which {reason}")
    return "chunked"


def _obstacle(backend: str, dtype: str, head_dim: int, platform: str, *, here: bool) -> str | None:
    """Why ``backend`` cannot serve, ``None`` if it can; ``here``: on this machine's devices."""
    if backend == "cudnn":
        if platform != "gpu":
            return f"needs an NVIDIA GPU, this is a {platform}"
        if dtype not in cudnn.CUDNN_DTYPES:
            return f"takes {' and '.join(cudnn.CUDNN_DTYPES)}, not {dtype}"
        if head_dim % 8 or head_dim > cudnn.LARGEST_HEAD:
            return f"takes heads of 8, 16 ... {cudnn.LARGEST_HEAD} values, not {head_dim}"
        return cudnn.missing_here() if here else None
    if backend == "splash":
        if platform != "tpu":
            return f"needs a TPU, this is a {platform}"
        if dtype not in splash.SPLASH_DTYPES:
            return f"takes {' and '.join(splash.SPLASH_DTYPES)}, not {dtype}"
        if not splash.takes(head_dim):
            return f"takes heads of up to 128 values or of multiples of 128, not {head_dim}"
    return None


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
        if backend == "cudnn":
            return cudnn.attend(q_BSKA, k, v, save_as=SAVED)
        if backend == "chunked":
            return _chunked(q_BSKA, k, v)
        return jax.nn.dot_product_attention(q_BSKA, k, v, implementation="xla")

    out_BSKA: jax.Array = sharding.with_whole_sequences(whole, q_BSKA, *keys_values_BSKA)
    # the fused kernels name their output themselves: a second name would save a second copy
    if backend not in FUSED.values():
        out_BSKA = checkpoint_name(out_BSKA, SAVED)
    return out_BSKA


def _chunked(q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array) -> jax.Array:
    B, S, K, A = q_BSKA.shape
    if S <= _QUERY_BLOCK:
        return jax.nn.dot_product_attention(q_BSKA, k_BSKA, v_BSKA, implementation="xla")
    blocks = math.ceil(S / _QUERY_BLOCK)
    block = math.ceil(S / blocks)
    padded = jnp.pad(q_BSKA, ((0, 0), (0, blocks * block - S), (0, 0), (0, 0)))
    queries = padded.reshape(B, blocks, block, K, A).swapaxes(0, 1)
    out: jax.Array = jax.lax.map(
        lambda q: jax.nn.dot_product_attention(q, k_BSKA, v_BSKA, implementation="xla"), queries
    )
    return out.swapaxes(0, 1).reshape(B, blocks * block, K, A)[:, :S]
