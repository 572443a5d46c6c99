"""Fused attention on TPUs: the Pallas splash kernels (forward, dq, dkv) with a full mask, for one device's heads.

The kernels want lengths that are multiples of their blocks, and blocks that are multiples of 128. 17,776 tokens are
139 x 128 - 16 and 139 is a prime: the sequence is padded to 140 x 128 = 17,920 (0.8 %), which has blocks of 1,280,
1,792, 2,560 ... Padding keys are told apart by segment ids. Heads of 64 values need no padding of their own.

Weights of keys and a rest of the denominator (`vp_jax.models.id_resample`) are further channels of the heads, for which
the matrix units have room: logits are then ``q . k + 1 * log w``, and one more key with value 0 has the logit
``log rest``. A logarithm is given as a sum of three numbers of the heads' type, exact to float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_LANES = 128


class Blocks(NamedTuple):
    """Largest blocks of a chip: queries and keys in memory, keys per softmax step; forward, then backward."""

    q: int
    kv: int
    compute: int
    backward_q: int
    backward_kv: int
    backward_compute: int


BLOCKS: dict[str, Blocks] = {
    "TPU v4": Blocks(1280, 1280, 640, 1280, 1280, 640),
    "TPU v5": Blocks(1280, 1280, 640, 1280, 1280, 640),  # v5p
    "TPU v5 lite": Blocks(1280, 1280, 640, 1280, 1280, 640),  # v5e
    "TPU v6 lite": Blocks(1792, 2560, 1280, 1280, 1280, 640),  # v6e
}
"""By ``device_kind``, for two-byte types. What fits each chip's vector memory, checked by its compiler."""

SPLASH_DTYPES = ("bfloat16", "float32")

_OTHER = Blocks(512, 512, 512, 512, 512, 512)


def largest_blocks(device_kind: str, dtype: jnp.dtype) -> Blocks:
    """Blocks of a chip for ``dtype``: half as many rows in memory for float32, which takes twice the bytes."""
    blocks = BLOCKS.get(device_kind, _OTHER)
    if dtype.itemsize < 4:
        return blocks
    half = {name: getattr(blocks, name) // 2 // _LANES * _LANES for name in ("q", "kv", "backward_q", "backward_kv")}
    return blocks._replace(**half)


def takes(head_dim: int) -> bool:
    """The kernels compute heads of ``head_dim`` values."""
    return head_dim < _LANES or head_dim % _LANES == 0


def fit(length: int, *largest: int) -> tuple[int, ...]:
    """Padded length, then one block per limit: each divides it and is more than half as large as its limit allows.

    Args:
      length: tokens.
      largest: limits, multiples of 128.
    """
    units = -(-length // _LANES)
    while True:
        blocks = [max(d for d in range(1, limit // _LANES + 1) if units % d == 0) for limit in largest]
        if all(2 * block * _LANES > min(limit, units * _LANES) for block, limit in zip(blocks, largest)):
            return units * _LANES, *(block * _LANES for block in blocks)
        units += 1


def attend(
    q_BSKA: jax.Array,
    k_BTKA: jax.Array,
    v_BTKA: jax.Array,
    *,
    device_kind: str,
    save_as: str,
    log_weights_BT: jax.Array | None = None,
    log_rest_BSK: jax.Array | None = None,
    interpret: bool = False,
) -> jax.Array:
    """``softmax(q k^T / sqrt(A)) v``; scores exist one block at a time, in the backward pass too.

    Args:
      q_BSKA: queries, heads of one device.
      k_BTKA: keys; may be longer than the queries.
      v_BTKA: values, as the keys.
      device_kind: chip, a key of `BLOCKS`.
      save_as: name of the output and of the log-sum-exp for rematerialisation policies.
      log_weights_BT: logarithm of the weight of every key; with it ``log_rest_BSK`` is given too.
      log_rest_BSK: logarithm of what is added to the denominator of every query and head.
      interpret: run the kernels' source on any device (tests).
    """
    # Pallas takes a tenth of a second to import, which no other device waits for
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernel
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    q_BSKA = (q_BSKA * q_BSKA.shape[-1] ** -0.5).astype(q_BSKA.dtype)
    if log_weights_BT is not None:
        assert log_rest_BSK is not None
        q_BSKA, k_BTKA, v_BTKA = _with_rest(q_BSKA, k_BTKA, v_BTKA, log_weights_BT, log_rest_BSK)
    k_BSKA, v_BSKA = k_BTKA, v_BTKA
    queries, keys, heads = q_BSKA.shape[1], k_BSKA.shape[1], q_BSKA.shape[2]
    padded_q, padded_kv, sizes = _block_sizes(queries, keys, largest_blocks(device_kind, q_BSKA.dtype))
    splash = kernel.make_splash_mha_single_device(
        masks.MultiHeadMask([masks.FullMask((padded_q, padded_kv))] * heads),
        block_sizes=kernel.BlockSizes(**sizes),
        residual_checkpoint_name=save_as,
        interpret=interpret,
    )
    segments = None
    if padded_q != queries or padded_kv != keys:
        segments = kernel.SegmentIds(
            jnp.asarray(jnp.arange(padded_q) >= queries, jnp.int32),
            jnp.asarray(jnp.arange(padded_kv) >= keys, jnp.int32),
        )

    def example(q_KSA: jax.Array, k_KSA: jax.Array, v_KSA: jax.Array) -> jax.Array:
        out_KSA: jax.Array = splash(q_KSA, k_KSA, v_KSA, segment_ids=segments)
        return out_KSA

    out = jax.vmap(example)(
        _heads_first(q_BSKA, padded_q), _heads_first(k_BSKA, padded_kv), _heads_first(v_BSKA, padded_kv)
    )
    return out.swapaxes(1, 2)[:, :queries].astype(q_BSKA.dtype)


def _block_sizes(queries: int, keys: int, limit: Blocks) -> tuple[int, int, dict[str, Any]]:
    """Padded numbers of queries and keys, and the kernel's block sizes by their names."""
    padded_q, block_q, backward_q = fit(queries, limit.q, limit.backward_q)
    padded_kv, block_kv, backward_kv = fit(keys, limit.kv, limit.backward_kv)
    sizes = {
        "block_q": block_q,
        "block_kv": block_kv,
        "block_kv_compute": _divisor(block_kv, limit.compute),
        "block_q_dkv": backward_q,
        "block_kv_dkv": backward_kv,
        "block_kv_dkv_compute": _divisor(backward_kv, limit.backward_compute),
        "block_q_dq": backward_q,
        "block_kv_dq": backward_kv,
    }
    return padded_q, padded_kv, sizes


_CHANNELS = 8
"""Further values of a head, of which six are used."""


def _with_rest(
    q_BSKA: jax.Array, k_BTKA: jax.Array, v_BTKA: jax.Array, log_weights_BT: jax.Array, log_rest_BSK: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scaled queries, keys and values with the channels and the key of the module docstring."""
    B, S, K, _ = q_BSKA.shape
    T, dtype = k_BTKA.shape[1], q_BSKA.dtype
    rest_BSK3, weights_BT3 = _three(log_rest_BSK, dtype), _three(log_weights_BT, dtype)
    ones = jnp.ones((B, S, K, 3), dtype)
    q = jnp.pad(jnp.concatenate([q_BSKA, rest_BSK3, ones], axis=-1), ((0, 0), (0, 0), (0, 0), (0, _CHANNELS - 6)))
    weights_BTK3 = jnp.broadcast_to(weights_BT3[:, :, None], (B, T, K, 3))
    k = jnp.concatenate([k_BTKA, jnp.zeros((B, T, K, 3), dtype), weights_BTK3], axis=-1)
    last = jnp.zeros((B, 1, K, k.shape[-1]), dtype).at[..., -6:-3].set(1)
    k = jnp.pad(jnp.concatenate([k, last], axis=1), ((0, 0), (0, 0), (0, 0), (0, _CHANNELS - 6)))
    return q, k, jnp.pad(v_BTKA, ((0, 0), (0, 1), (0, 0), (0, 0)))


def _three(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """``x`` as the sum of three numbers of ``dtype``, on a new last axis; its gradient goes to the first."""
    first = x.astype(dtype)
    left = jax.lax.stop_gradient(x - first.astype(jnp.float32))
    second = left.astype(dtype)
    return jnp.stack([first, second, (left - second.astype(jnp.float32)).astype(dtype)], axis=-1)


def _divisor(block: int, largest: int) -> int:
    """Largest multiple of 128 up to ``largest`` that divides ``block``."""
    return max(size for size in range(_LANES, min(block, largest) + 1, _LANES) if block % size == 0)


def _heads_first(x_BSKA: jax.Array, length: int) -> jax.Array:
    return jnp.pad(x_BSKA, ((0, 0), (0, length - x_BSKA.shape[1]), (0, 0), (0, 0))).swapaxes(1, 2)
