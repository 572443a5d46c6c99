"""Values of channels, made as long as the arrays that they meet."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def along_last(values_C: jax.Array, x: jax.Array) -> jax.Array:
    """Values of channels as (1, ..., 1, C), with the rank of ``x`` (..., C)."""
    return values_C.reshape((1,) * (x.ndim - 1) + (-1,))


def normalised(x: jax.Array, mean: Sequence[float], std: Sequence[float]) -> jax.Array:
    """Pictures (..., C) less the mean of each channel, divided by its deviation."""
    return (x - along_last(jnp.array(mean), x)) / along_last(jnp.array(std), x)
