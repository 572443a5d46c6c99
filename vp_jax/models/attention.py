"""The one place where attention is computed, and the one place that decides how.

==========  =======================================================  ===================  =========================
backend     what it is                                               types                values per head
==========  =======================================================  ===================  =========================
``xla``     `jax.nn.dot_product_attention`, any device; makes the    any                  any
            S x S scores
``chunked`` the same over blocks of 512 queries: scores of one       any                  any
            block at a time, any device
``heads``   one head at a time, for CPUs                             any                  any
            (`vp_jax.models.attention_heads`)
``cudnn``   fused kernels on NVIDIA GPUs since Ampere                bfloat16, float16    multiples of 8 up to 128
            (`vp_jax.models.cudnn`); a correctness need at full
            size, where the scores of one layer are 121 GB
``splash``  fused Pallas kernels on TPUs (`vp_jax.models.splash`);   bfloat16, float32    up to 128, or multiples
            the same need                                                                 of 128
==========  =======================================================  ===================  =========================

`choose` picks the backend of a model. Nobody asked for one: ``heads`` on a CPU, the fused kernels of a GPU or TPU, and
``chunked`` where they cannot serve the model's type or head size, with one printed line that says why. A backend that
was requested by name is used or is an error, never replaced. Lengths are no part of the choice: each takes any.

`attend` is plain attention, `attend_again` that of ID resampling, by the same kernels. On a mesh each device computes
whole sequences of a share of the heads (`sharding.with_whole_sequences`), whatever the backend.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.models import attention_heads, cudnn, splash
from vp_jax.models.zero_tokens import ZeroTokens, log_sum

BACKENDS = ("xla", "chunked", "heads", "cudnn", "splash")

FASTEST = {"cpu": "heads", "gpu": "cudnn", "tpu": "splash"}
"""The fastest backend of each platform."""

_NAMING = tuple(FASTEST.values())
"""Backends that name what their backward pass reads; a second name would save a second copy."""

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
    backend = requested or FASTEST.get(platform, "chunked")
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


def attend(q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array, *, backend: str) -> jax.Array:
    """``softmax(q k^T / sqrt(A)) v`` per head, softmax in float32.

    Args:
      q_BSKA: queries.
      k_BSKA: keys.
      v_BSKA: values.
      backend: see the table above.

    Returns:
      (B, S, K, A) of the queries' length and type.
    """
    _check(backend)

    def whole(q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array) -> jax.Array:
        if backend == "splash":
            return splash.attend(q_BSKA, k_BSKA, v_BSKA, device_kind=sharding.device_kind(), save_as=SAVED)
        if backend == "cudnn":
            return cudnn.attend(q_BSKA, k_BSKA, v_BSKA, save_as=SAVED)
        if backend == "heads":
            return attention_heads.attend(q_BSKA, k_BSKA, v_BSKA, save_as=SAVED)
        if backend == "chunked":
            return _chunked(functools.partial(_plain, k_BSKA, v_BSKA), q_BSKA)
        return _plain(k_BSKA, v_BSKA, q_BSKA)

    return _named(sharding.with_whole_sequences(whole, q_BSKA, k_BSKA, v_BSKA), backend)


def attend_again(
    q_BSKA: jax.Array,
    keys_values_BSKA: Sequence[jax.Array],
    masked_BS: jax.Array,
    zeros: ZeroTokens,
    grid: tuple[int, int, int] | None,
    *,
    backend: str,
) -> jax.Array:
    """Attention over all keys, over those of masked tokens a second time, and over tokens with zero values.

    One softmax per query and head. Its denominator has the exponentials of the tokens in ``zeros``, whose values add
    nothing, as `vp_jax.models.zero_tokens.log_sum` gives them.

    Args:
      q_BSKA: queries.
      keys_values_BSKA: keys, values: the masked ones count twice. Or keys, values, keys (B, P, K, A) and values of the
        masked tokens of another window, one after another: they count once more.
      masked_BS: bool, the masked tokens of the window whose keys are added.
      zeros: the other tokens of that window.
      grid: see `log_sum`.
      backend: see the table above.

    Returns:
      (B, S, K, A) of the queries' length and type.
    """
    _check(backend)
    twice = len(keys_values_BSKA) == 2

    def whole(q_BSKA: jax.Array, *arrays: jax.Array) -> jax.Array:
        *pairs, masked_BS, rows_BPA, unmasked_BS = arrays
        rest_BSK = log_sum(q_BSKA, ZeroTokens(rows_BPA, unmasked_BS), grid)
        k, v = (parts[0] if twice else jnp.concatenate(parts, axis=1) for parts in (pairs[::2], pairs[1::2]))
        counts_BT = _counts(masked_BS, twice, k.shape[1])
        if backend == "cudnn":
            parts = [cudnn.key_part(counts_BT > 0, ordered=True)]
            if twice:
                parts = [cudnn.key_part(counts_BT == 1), cudnn.key_part(counts_BT == 2, weight=2.0)]
            return cudnn.attend_rest(q_BSKA, k, v, rest_BSK, parts, save_as=SAVED)
        weights_BT = jnp.where(counts_BT > 0, jnp.log(jnp.maximum(counts_BT, 1).astype(jnp.float32)), _NEVER)
        given: dict[str, Any] = {"log_weights_BT": weights_BT, "log_rest_BSK": rest_BSK, "save_as": SAVED}
        if backend == "splash":
            return splash.attend(q_BSKA, k, v, device_kind=sharding.device_kind(), **given)
        if backend == "heads":
            return attention_heads.attend(q_BSKA, k, v, **given)
        weighted = functools.partial(_weighted, k, v, weights_BT)
        return (_chunked(weighted, q_BSKA, rest_BSK)) if backend == "chunked" else weighted(q_BSKA, rest_BSK)

    shared = (masked_BS, *zeros)
    return _named(sharding.with_whole_sequences(whole, q_BSKA, *keys_values_BSKA, shared=shared), backend)


_NEVER = -1e9
"""Logarithm of the weight of a key that does not count."""


def _check(backend: str) -> None:
    if backend not in BACKENDS:
        raise ValueError(f"attention backend {backend!r}: expected one of {BACKENDS}")


def _named(out_BSKA: jax.Array, backend: str) -> jax.Array:
    result: jax.Array = out_BSKA if backend in _NAMING else checkpoint_name(out_BSKA, SAVED)
    return result


def _counts(masked_BS: jax.Array, twice: bool, keys: int) -> jax.Array:
    """How often every key counts, int32 (B, T)."""
    S = masked_BS.shape[1]
    if twice:
        return 1 + masked_BS.astype(jnp.int32)
    there_BP = jnp.arange(keys - S)[None] < masked_BS.sum(axis=1, keepdims=True)
    return jnp.pad(there_BP.astype(jnp.int32), ((0, 0), (S, 0)), constant_values=1)


def _plain(k_BSKA: jax.Array, v_BSKA: jax.Array, q_BSKA: jax.Array) -> jax.Array:
    result: jax.Array = jax.nn.dot_product_attention(q_BSKA, k_BSKA, v_BSKA, implementation="xla")
    return result


def _weighted(
    k_BTKA: jax.Array, v_BTKA: jax.Array, weights_BT: jax.Array, q_BSKA: jax.Array, rest_BSK: jax.Array
) -> jax.Array:
    scores_BKST = jnp.einsum("bska,btka->bkst", q_BSKA, k_BTKA, preferred_element_type=jnp.float32)
    scores_BKST = scores_BKST * q_BSKA.shape[-1] ** -0.5 + weights_BT[:, None, None, :]
    rest_BKS = rest_BSK.swapaxes(1, 2)
    top_BKS = jax.lax.stop_gradient(jnp.maximum(scores_BKST.max(axis=-1), rest_BKS))
    weights_BKST = jnp.exp(scores_BKST - top_BKS[..., None])
    total_BKS = weights_BKST.sum(axis=-1) + jnp.exp(rest_BKS - top_BKS)
    shares_BKST = (weights_BKST / total_BKS[..., None]).astype(v_BTKA.dtype)
    return jnp.einsum("bkst,btka->bska", shares_BKST, v_BTKA)


def _chunked(attend: Callable[..., jax.Array], *rows: jax.Array) -> jax.Array:
    """``attend`` on blocks of queries and of what belongs to them, (B, S, ...)."""
    B, S = rows[0].shape[:2]
    if S <= _QUERY_BLOCK:
        return attend(*rows)
    blocks = math.ceil(S / _QUERY_BLOCK)
    block = math.ceil(S / blocks)

    def cut(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, ((0, 0), (0, blocks * block - S), *((0, 0),) * (x.ndim - 2)))
        return padded.reshape(B, blocks, block, *x.shape[2:]).swapaxes(0, 1)

    out: jax.Array = jax.lax.map(lambda parts: attend(*parts), tuple(map(cut, rows)))
    return out.swapaxes(0, 1).reshape(B, blocks * block, *out.shape[3:])[:, :S]
