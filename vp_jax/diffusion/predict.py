"""What a v-predicting network says about x_0 and the noise, with a = sqrt(abar_t), s = sqrt(1 - abar_t):

v   = a noise - s x_0        x_0   = a x_t - s v        noise = a v + s x_t
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def _coefficients(abar: jax.Array, ndim: int) -> tuple[jax.Array, jax.Array]:
    """sqrt(abar) and sqrt(1 - abar) shaped to multiply (B, ...) of ``ndim`` axes."""
    shape = abar.shape + (1,) * (ndim - abar.ndim)
    return jnp.sqrt(abar).reshape(shape), jnp.sqrt(1.0 - abar).reshape(shape)


def add_noise(x0: jax.Array, noise: jax.Array, abar_B: jax.Array) -> jax.Array:
    """x_t of (B, ...) clean values at each example's own signal power."""
    a, s = _coefficients(abar_B, x0.ndim)
    return a * x0 + s * noise


def velocity(x0: jax.Array, noise: jax.Array, abar_B: jax.Array) -> jax.Array:
    """v of (B, ...) clean values and noise."""
    a, s = _coefficients(abar_B, x0.ndim)
    return a * noise - s * x0


def x0_from_velocity(x_t: jax.Array, v: jax.Array, abar_B: jax.Array) -> jax.Array:
    """x_0 of (B, ...) noisy values and predicted v."""
    a, s = _coefficients(abar_B, x_t.ndim)
    return a * x_t - s * v
