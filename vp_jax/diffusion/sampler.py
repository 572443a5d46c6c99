"""The denoising loop: a pure step, and a scan over all steps.

The network enters as ``predict_fn(x, timestep, index) -> (velocity, extra)``; guidance is part of it.
``after_step(x, row)`` may edit the latents after each update (background replacement). It does not edit the raw x_0
prediction that the second-order update uses at the next step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.steps import StepTable, row_at, update


class LoopState(NamedTuple):
    """What a step leaves to the next, float32.

    Attributes:
      x: latents.
      x0_old: raw x_0 prediction of the step before.
      estimates: with a step cache, the network's x_0 predictions before guidance, [negative, positive] along the batch;
        of the last step that was computed.
    """

    x: jax.Array
    x0_old: jax.Array
    estimates: jax.Array | None = None


PredictFn = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]
"""``(x, timestep, index) -> (velocity, extra)``."""


def start(x: jax.Array) -> LoopState:
    """State before the first step, from noise ``x``."""
    return LoopState(x.astype(jnp.float32), jnp.zeros(x.shape, jnp.float32))


def denoise_step(
    state: LoopState,
    index: jax.Array | int,
    table: StepTable,
    predict_fn: PredictFn,
    noise: NoiseSource | None,
    after_step: Callable[[jax.Array, StepTable], jax.Array] | None = None,
) -> tuple[LoopState, Any]:
    """Run one denoising step.

    Args:
      state: latents and previous prediction, any shape.
      index: number of the step, may be traced.
      table: coefficients of all steps.
      predict_fn: the network.
      noise: source of the draw of this step; ``None`` for samplers without noise.
      after_step: edits the latents after the update.

    Returns:
      The new state, and ``extra`` of ``predict_fn``.
    """
    row = row_at(table, index)
    v, extra = predict_fn(state.x, jnp.asarray(row.timestep), jnp.asarray(index))
    eps = None if noise is None else noise.step(index, state.x.shape)
    x, x0 = update(row, state.x, v.astype(jnp.float32), state.x0_old, eps)
    return LoopState(x if after_step is None else after_step(x, row), x0, state.estimates), extra


def sample(
    x: jax.Array,
    table: StepTable,
    predict_fn: PredictFn,
    noise: NoiseSource | None,
    after_step: Callable[[jax.Array, StepTable], jax.Array] | None = None,
) -> jax.Array:
    """Run every step of ``table`` from noise ``x`` in one `lax.scan` and return the final latents, float32."""

    def body(state: LoopState, index: jax.Array) -> tuple[LoopState, None]:
        return denoise_step(state, index, table, predict_fn, noise, after_step)[0], None

    return jax.lax.scan(body, start(x), jnp.arange(len(table.timestep)))[0].x
