"""The denoising loop: a pure step, scanned whole or driven one step at a time.

The network enters as ``predict_fn(x, timestep, index) -> (velocity, extra)``; guidance happens inside it or through
`guidance.guide`. ``after_step(x, row)`` may edit the latents after each update (background replacement); the raw x_0
prediction kept for the second-order update is never edited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.steps import StepTable, row_at, update


class LoopState(NamedTuple):
    """Latents and the previous raw x_0 prediction, float32."""

    x: jax.Array
    x0_old: jax.Array


PredictFn = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]


def start(x: jax.Array) -> LoopState:
    """State before the first step."""
    return LoopState(x.astype(jnp.float32), jnp.zeros(x.shape, jnp.float32))


def step(
    state: LoopState,
    index: jax.Array | int,
    table: StepTable,
    predict_fn: PredictFn,
    noise: NoiseSource | None,
    after_step: Callable[[jax.Array, StepTable], jax.Array] | None = None,
) -> tuple[LoopState, Any]:
    """One denoising step; returns the new state and what ``predict_fn`` handed out besides the velocity."""
    row = row_at(table, index)
    v, extra = predict_fn(state.x, jnp.asarray(row.timestep), jnp.asarray(index))
    eps = None if noise is None else noise.step(index, state.x.shape)
    x, x0 = update(row, state.x, v.astype(jnp.float32), state.x0_old, eps)
    return LoopState(x if after_step is None else after_step(x, row), x0), extra


def sample(
    x: jax.Array,
    table: StepTable,
    predict_fn: PredictFn,
    noise: NoiseSource | None,
    after_step: Callable[[jax.Array, StepTable], jax.Array] | None = None,
) -> jax.Array:
    """Run every step of ``table`` from ``x`` in one `lax.scan`; returns the final latents, float32."""

    def body(state: LoopState, index: jax.Array) -> tuple[LoopState, None]:
        return step(state, index, table, predict_fn, noise, after_step)[0], None

    return jax.lax.scan(body, start(x), jnp.arange(len(table.timestep)))[0].x
