"""Attention for CPUs: one head at a time, queries in blocks, so that every product is a plain matrix product.

XLA's CPU compiler turns a product with batch dimensions (B, K) in the layout (B, S, K, A) into many small products with
strides. Here a loop runs over the B K heads, and one over blocks of queries: each turn is one call of the fast matrix
product, and the scores of a block stay in the processor's cache. The backward pass makes the probabilities again from
the log-sum-exp, so that no S x S array exists in it either.

Keys may have weights and the softmax a rest, ``softmax_j = w_j exp(s_j) / (sum_i w_i exp(s_i) + exp(rest))``, see
`vp_jax.models.id_resample`.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

QUERY_BLOCK = 256
"""Most queries in a block."""


def attend(
    q_BSKA: jax.Array,
    k_BTKA: jax.Array,
    v_BTKA: jax.Array,
    *,
    save_as: str,
    log_weights_BT: jax.Array | None = None,
    log_rest_BSK: jax.Array | None = None,
) -> jax.Array:
    """``softmax(q k^T / sqrt(A)) v``, scores in float32.

    Args:
      q_BSKA: queries.
      k_BTKA: keys.
      v_BTKA: values.
      save_as: name of the output and of the log-sum-exp for rematerialisation policies.
      log_weights_BT: logarithm of the weight of every key, a constant of the gradient; ``None``: 0.
      log_rest_BSK: logarithm of what is added to the denominator of every query and head; ``None``: nothing.

    Returns:
      (B, S, K, A) of the queries' type.
    """
    return _attend(save_as, q_BSKA, k_BTKA, v_BTKA, log_weights_BT, log_rest_BSK)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(
    save_as: str,
    q_BSKA: jax.Array,
    k_BTKA: jax.Array,
    v_BTKA: jax.Array,
    log_weights_BT: jax.Array | None,
    log_rest_BSK: jax.Array | None,
) -> jax.Array:
    return _forward(q_BSKA, k_BTKA, v_BTKA, log_weights_BT, log_rest_BSK)[0]


def _attend_forward(
    save_as: str,
    q_BSKA: jax.Array,
    k_BTKA: jax.Array,
    v_BTKA: jax.Array,
    log_weights_BT: jax.Array | None,
    log_rest_BSK: jax.Array | None,
) -> tuple[jax.Array, tuple[jax.Array | None, ...]]:
    found = _forward(q_BSKA, k_BTKA, v_BTKA, log_weights_BT, log_rest_BSK)
    out, lse_NS = (checkpoint_name(x, save_as) for x in found)
    return out, (q_BSKA, k_BTKA, v_BTKA, log_weights_BT, log_rest_BSK, out, lse_NS)


def _forward(
    q: jax.Array, k: jax.Array, v: jax.Array, log_weights_BT: jax.Array | None, log_rest_BSK: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Output (B, S, K, A) and log-sum-exp (B K, S), the rest in it."""
    B, S, K, A = q.shape
    count, size = _blocks(S)
    scale = A**-0.5

    def head(
        parts: tuple[jax.Array, jax.Array, jax.Array, jax.Array | None, jax.Array | None],
    ) -> tuple[jax.Array, jax.Array]:
        q_SA, k_TA, v_TA, weights_T, rest_S = parts

        def rows(block: tuple[jax.Array, jax.Array | None]) -> tuple[jax.Array, jax.Array]:
            q_RA, rest_R = block
            scores = _product(q_RA, k_TA.T)
            scores = scores if weights_T is None else scores + weights_T[None]
            top = scores.max(axis=1)
            top = top if rest_R is None else jnp.maximum(top, rest_R)
            weights = jnp.exp(scores - top[:, None])
            total = weights.sum(axis=1)
            total = total if rest_R is None else total + jnp.exp(rest_R - top)
            out_RA = _product(weights.astype(v_TA.dtype), v_TA) / total[:, None]
            return out_RA.astype(q.dtype), top + jnp.log(total)

        if count == 1:
            return rows((q_SA, rest_S))
        out, lse = jax.lax.map(rows, (_cut(q_SA, count, size), None if rest_S is None else _cut(rest_S, count, size)))
        return out.reshape(count * size, A)[:S], lse.reshape(count * size)[:S]

    scaled = (q * scale).astype(q.dtype)
    out, lse_NS = jax.lax.map(head, (*map(_heads, (scaled, k, v)), _keys(log_weights_BT, K), _rows(log_rest_BSK)))
    return _tokens(out, B), lse_NS


def _attend_backward(
    save_as: str, saved: tuple[jax.Array, ...], gradient_BSKA: jax.Array
) -> tuple[jax.Array | None, ...]:
    q, k, v, log_weights_BT, log_rest_BSK, out, lse_NS = saved
    B, S, K, A = q.shape
    count, size = _blocks(S)
    scale = A**-0.5

    def head(parts: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        q_SA, k_TA, v_TA, weights_T, rest_S, lse_S, out_SA, do_SA = parts
        delta_S = (out_SA.astype(jnp.float32) * do_SA.astype(jnp.float32)).sum(axis=1)

        def rows(
            sums: tuple[jax.Array, jax.Array], block: tuple[jax.Array, ...]
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            q_RA, lse_R, delta_R, do_RA = block
            scores = _product(q_RA, k_TA.T)
            scores = scores if weights_T is None else scores + weights_T[None]
            p = jnp.exp(scores - lse_R[:, None])
            ds = (p * (_product(do_RA, v_TA.T) - delta_R[:, None])).astype(q_RA.dtype)
            sums = sums[0] + _product(ds.T, q_RA), sums[1] + _product(p.T.astype(do_RA.dtype), do_RA)
            return sums, _product(ds, k_TA)

        # rows that fill the last block have no gradient: q, do and delta are 0 there, and p is finite
        blocks = tuple(_cut(x, count, size) for x in (q_SA, lse_S, delta_S, do_SA))
        nothing = jnp.zeros(k_TA.shape, jnp.float32), jnp.zeros(v_TA.shape, jnp.float32)
        (dk, dv), dq = jax.lax.scan(rows, nothing, blocks)
        drest_S = None if rest_S is None else -delta_S * jnp.exp(rest_S - lse_S)
        return dq.reshape(count * size, A)[:S], dk, dv, drest_S

    do = gradient_BSKA.astype(q.dtype)
    scaled = (q * scale).astype(q.dtype)
    arrays = (
        *map(_heads, (scaled, k, v)),
        _keys(log_weights_BT, K),
        _rows(log_rest_BSK),
        lse_NS,
        *map(_heads, (out, do)),
    )
    dq, dk, dv, drest = jax.lax.map(head, arrays)
    return (
        _tokens(dq * scale, B).astype(q.dtype),
        _tokens(dk, B).astype(k.dtype),
        _tokens(dv, B).astype(v.dtype),
        None if log_weights_BT is None else jnp.zeros_like(log_weights_BT),
        None if drest is None else drest.reshape(B, K, S).swapaxes(1, 2),
    )


_attend.defvjp(_attend_forward, _attend_backward)


def _blocks(queries: int) -> tuple[int, int]:
    """Number and size of the blocks of queries, all of one size."""
    count = math.ceil(queries / QUERY_BLOCK)
    return count, math.ceil(queries / count)


def _cut(x: jax.Array, count: int, size: int) -> jax.Array:
    """Rows in ``count`` blocks, zeros after the last."""
    return jnp.pad(x, ((0, count * size - x.shape[0]), *((0, 0),) * (x.ndim - 1))).reshape(count, size, *x.shape[1:])


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


def _heads(x_BSKA: jax.Array) -> jax.Array:
    """(B K, S, A)."""
    B, S, K, A = x_BSKA.shape
    return x_BSKA.swapaxes(1, 2).reshape(B * K, S, A)


def _tokens(x_NSA: jax.Array, batch: int) -> jax.Array:
    """(B, S, K, A), the inverse of `_heads`."""
    return x_NSA.reshape(batch, -1, *x_NSA.shape[1:]).swapaxes(1, 2)


def _keys(x_BT: jax.Array | None, heads: int) -> jax.Array | None:
    return None if x_BT is None else jnp.repeat(x_BT, heads, axis=0)


def _rows(x_BSK: jax.Array | None) -> jax.Array | None:
    return None if x_BSK is None else x_BSK.swapaxes(1, 2).reshape(-1, x_BSK.shape[1])
