"""Matrices of transformer blocks in 8 bits, half the memory of bfloat16: weights alone, activations stay as they are.

A kernel is an int8 matrix times one float32 scale per output channel, ``max |kernel| / 127``, so that rounding changes
a value by at most half a scale. A block makes its kernel in the compute type when it runs, one block at a time. Nothing
is trained in this form, and adapters are merged before (`vp_jax.models.lora.merge`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees

_LEVELS = 127


class Int8Linear(nnx.Module):
    """Dense layer whose kernel has 8 bits.

    Args:
      n_in: inputs.
      n_out: outputs.
      dtype: compute type.
      param_dtype: type of the bias.
    """

    def __init__(self, n_in: int, n_out: int, *, dtype: jnp.dtype, param_dtype: jnp.dtype):
        self.kernel = nnx.Param(jnp.zeros((n_in, n_out), jnp.int8))
        self.scale = nnx.Param(jnp.zeros((n_out,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((n_out,), param_dtype))
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs in the compute type."""
        kernel = (self.kernel[...].astype(jnp.float32) * self.scale[...][None]).astype(self.dtype)
        product = jnp.matmul(x.astype(self.dtype), kernel)
        return product + self.bias[...].astype(self.dtype).reshape((1,) * (product.ndim - 1) + (-1,))


def quantise(params: trees.Tree, like: trees.Tree) -> trees.Tree:
    """Kernels in 8 bits where ``like`` has them, one at a time; other leaves are shared with the result.

    Args:
      params: arrays of a model.
      like: shapes of the same model with ``weights="int8"``.
    """
    wanted, flat = trees.flatten(like), trees.flatten(params)
    for path in [path for path, leaf in wanted.items() if leaf.dtype == jnp.int8]:
        kernel, scale = _quantised(flat[path])
        flat[path], flat[f"{path.removesuffix('/kernel')}/scale"] = kernel, scale
    return trees.unflatten(flat)


@jax.jit
def _quantised(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(..., in, out) as int8, and the scales (..., out)."""
    values = kernel.astype(jnp.float32)
    scale = jnp.maximum(jnp.abs(values).max(axis=-2), 1e-30) / _LEVELS
    return jnp.round(values / jnp.expand_dims(scale, -2)).astype(jnp.int8), scale
