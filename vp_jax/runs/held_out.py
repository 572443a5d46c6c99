"""Loss on held-out clips with the same timesteps and noise every time, so that two values differ by the weights alone.

The training loss is a mean over random timesteps, whose losses differ by orders of magnitude: it shows a slow gain only
after thousands of steps. This one has no such noise. It is a mean over `TIMESTEPS`, and each of them is reported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vp_jax import sharding, trees
from vp_jax.runs.plan import RunPlan
from vp_jax.training.step import step_keys

TIMESTEPS = (50, 200, 400, 600, 800, 950, 998)
"""Timesteps that are looked at, in thousandths of the schedule."""


@dataclasses.dataclass(frozen=True)
class HeldOutLoss:
    """Loss of fixed clips; a call returns it for some weights.

    Attributes:
      program: ``(trainable, frozen, timestep) -> loss``.
      timesteps: by the names of their metrics; one without a name for a stage that has no timesteps.
    """

    program: Callable[[trees.Tree, trees.Tree, np.int32], jax.Array]
    timesteps: dict[str, int]

    def __call__(self, trainable: trees.Tree, frozen: trees.Tree) -> dict[str, float]:
        """``val_loss``, the mean, and ``val_loss_t050`` ..., the loss at each timestep."""
        losses = {name: float(self.program(trainable, frozen, np.int32(t))) for name, t in self.timesteps.items()}
        return {"val_loss": float(np.mean(list(losses.values()))), **{name: v for name, v in losses.items() if name}}


def held_out_loss(plan: RunPlan, batch: Any, key: jax.Array) -> HeldOutLoss:
    """The loss of ``batch``, which the stage of complete clips encoded, with the noise of ``key``."""
    stage, schedule, hole_weight = plan.models.stage.whole_clips(), plan.models.schedule, plan.step.hole_weight

    def loss(trainable: trees.Tree, frozen: trees.Tree, batch: Any, key: jax.Array, t: jax.Array) -> jax.Array:
        draws = stage.draw_at(step_keys(key, 0), batch, schedule, t)
        return stage.loss(trainable, frozen, batch, draws, schedule).total(hole_weight).mean()

    program = jax.jit(loss, out_shardings=sharding.replicated(plan.mesh))
    timesteps = {f"val_loss_t{t:03d}": t * schedule.num_timesteps // 1000 for t in TIMESTEPS}
    return HeldOutLoss(
        lambda trainable, frozen, t: program(trainable, frozen, batch, key, t), timesteps if stage.denoises else {"": 0}
    )
