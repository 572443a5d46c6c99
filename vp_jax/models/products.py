"""Products of linear maps in bfloat16 with float32 sums, for training in float32 on processors with a matrix unit.

XLA multiplies float32 matrices on a CPU at a fifth of the rate that its matrix unit (AMX) reaches with bfloat16, and
reaches that rate for ``x @ w`` alone: a product that contracts the rows of both sides, as the gradient of a weight is,
stays as slow as before unless one side is transposed first. Activations, norms, attention and sums stay float32.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

_FEW = 64
"""Rows below which a matrix unit gains nothing."""


def bfloat16_dot_general(x: jax.Array, kernel: jax.Array, dims: Any, **types: Any) -> jax.Array:
    """The ``dot_general`` of a dense layer, for `flax.nnx.Linear`: factors rounded to bfloat16, float32 result.

    Args:
      x: inputs (..., in), float32.
      kernel: weights (in, out), float32.
      dims: the last axis of ``x`` against the first of ``kernel``.
      types: precision and result type, as `jax.lax.dot_general` takes them; used for few rows alone.
    """
    rows = x.size // x.shape[-1]
    if rows < _FEW:
        return lax.dot_general(x, kernel, dims, **types)
    return _product(x.reshape(rows, -1), kernel).reshape(*x.shape[:-1], -1)


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """``x @ kernel`` of float32 matrices; the gradients of both are such products too."""
    return _forward(x, kernel)[0]


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    x, kernel = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return jnp.dot(x, kernel, preferred_element_type=jnp.float32), (x, kernel)


def _backward(factors: tuple[jax.Array, jax.Array], change: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = factors
    change = change.astype(jnp.bfloat16)
    to_x = lax.dot_general(change, kernel, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32)
    return to_x, jnp.dot(_transposed(x), change, preferred_element_type=jnp.float32)


_product.defvjp(_forward, _backward)


def _transposed(x: jax.Array) -> jax.Array:
    """The transpose, written to memory: a plain one would be folded into the product, which is then the slow one.

    Two halves are put together, since XLA folds no concatenation; bits instead of numbers, which move faster.
    """
    bits, half = lax.bitcast_convert_type(x, jnp.uint16), len(x) // 2
    return lax.bitcast_convert_type(jnp.concatenate([bits[:half].T, bits[half:].T], axis=1), jnp.bfloat16)
