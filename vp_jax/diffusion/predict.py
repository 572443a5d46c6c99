"""Conversions between the velocity, the clean values x_0 and the noise; a network predicts one of the first two.

With a = sqrt(abar_t) and s = sqrt(1 - abar_t):

    v   = a noise - s x_0        x_0   = a x_t - s v        noise = a v + s x_t
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def _coefficients(abar: jax.Array, ndim: int) -> tuple[jax.Array, jax.Array]:
    """sqrt(abar) and sqrt(1 - abar), shaped to multiply arrays (B, ...) of ``ndim`` axes."""
    shape = abar.shape + (1,) * (ndim - abar.ndim)
    return jnp.sqrt(abar).reshape(shape), jnp.sqrt(1.0 - abar).reshape(shape)


def add_noise(x0: jax.Array, noise: jax.Array, abar_B: jax.Array) -> jax.Array:
    """Noisy values x_t (B, ...) of clean values, at the signal power of each example."""
    a, s = _coefficients(abar_B, x0.ndim)
    return a * x0 + s * noise


def velocity(x0: jax.Array, noise: jax.Array, abar_B: jax.Array) -> jax.Array:
    """Velocity v (B, ...) of clean values and noise."""
    a, s = _coefficients(abar_B, x0.ndim)
    return a * noise - s * x0


def x0_from_velocity(x_t: jax.Array, v: jax.Array, abar_B: jax.Array) -> jax.Array:
    """Clean values x_0 (B, ...) from noisy values and predicted velocity."""
    a, s = _coefficients(abar_B, x_t.ndim)
    return a * x_t - s * v


def velocity_of_clean(x0: jax.Array, x_t: jax.Array, abar_B: jax.Array) -> jax.Array:
    """Velocity v (B, ...) of predicted clean values, ``(a x_t - x_0) / s``; abar below 1."""
    a, s = _coefficients(abar_B, x_t.ndim)
    return (a * x_t - x0) / s


def as_velocity(output: jax.Array, x_t: jax.Array, abar_B: jax.Array, prediction_type: str) -> jax.Array:
    """Velocity (B, ...) of a network's output, see `vp_jax.diffusion.schedule.Schedule.prediction_type`."""
    return velocity_of_clean(output, x_t, abar_B) if prediction_type == "sample" else output
