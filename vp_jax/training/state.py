"""What training changes: the state, a pytree that is donated to every step and is what a checkpoint holds.

Frozen weights are no part of it. They are another argument of the step, so that nothing (gradient, moments, average,
checkpoint) is ever made for them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from vp_jax import sharding, trees


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """State of one training run.

    Attributes:
      step: int32 scalar, optimizer updates done.
      params: nested dict of the trainable weights alone, float32 masters.
      opt_state: the optimizer's, mirrors ``params``.
      ema: exponential moving average of ``params``, or ``None``.
    """

    step: jax.Array
    params: trees.Tree
    opt_state: Any
    ema: trees.Tree | None


def init_state(params: trees.Tree, optimizer: optax.GradientTransformation, *, ema: bool = False) -> TrainState:
    """State before the first step. Pure: run it under `jax.eval_shape` for shapes, or jit it with out_shardings.

    Args:
      params: trainable weights of any floating type; the masters are float32.
      optimizer: see `vp_jax.training.optim`.
      ema: keep a moving average.
    """
    params = trees.cast(params, jnp.float32)
    # a copy: params and average are donated to the step, one buffer cannot be given twice
    average = jax.tree.map(jnp.copy, params) if ema else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), average)


def state_shardings(shapes: TrainState, mesh: Mesh, *, offload: bool = False) -> TrainState:
    """Where every array of a state lives.

    Args:
      shapes: of `init_state`.
      mesh: from `vp_jax.sharding.make_mesh`.
      offload: the optimizer's state waits in the hosts' memory; the step fetches it, updates it and sends it back.
    """
    places: TrainState = sharding.place(shapes, mesh).shardings
    if not offload:
        return places
    return dataclasses.replace(
        places, opt_state=jax.tree.map(lambda place: place.with_memory_kind("pinned_host"), places.opt_state)
    )
