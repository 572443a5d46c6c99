"""A run on its devices as shapes: models, optimizer and the sharding of every array; nothing is loaded or compiled."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from vp_jax import sharding, trees
from vp_jax.errors import UserError
from vp_jax.shapes import latent_grid
from vp_jax.training.encode import Encoders
from vp_jax.training.models import ModelConfig, TrainingModels
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.stages import registry
from vp_jax.training.stages.stage import Stage
from vp_jax.training.state import TrainState, init_state, state_shardings
from vp_jax.training.step import StepConfig, make_encode, make_train_step


@dataclasses.dataclass(frozen=True)
class RunPlan:
    """Everything about a run that is static.

    Attributes:
      models: descriptions of all models.
      mesh: of the devices.
      optimizer: of the trained weights.
      step: choices of the training step.
      ema: a moving average is kept.
      state: shapes of the training state with their shardings.
    """

    models: TrainingModels
    mesh: Mesh
    optimizer: optax.GradientTransformation
    step: StepConfig
    ema: bool
    state: TrainState

    @property
    def places(self) -> TrainState:
        """Shardings of the training state."""
        places: TrainState = jax.tree.map(lambda leaf: leaf.sharding, self.state)
        return places

    def start(self, trainable: trees.Tree) -> TrainState:
        """State before the first step."""
        start = functools.partial(init_state, optimizer=self.optimizer, ema=self.ema)
        state: TrainState = jax.jit(start, out_shardings=self.places)(trainable)
        return state

    @functools.cached_property
    def train_step(self) -> Any:
        """The training step, jitted: ``(state, frozen, batch, base_key) -> (state, metrics)``; the state is donated."""
        return jax.jit(
            make_train_step(self.models.stage, self.optimizer, self.step, self.models.schedule),
            donate_argnums=0,
            out_shardings=(self.places, sharding.replicated(self.mesh)),
        )

    @property
    def encode(self) -> Callable[..., Any]:
        """The program in front of it, jitted: ``(encoder_weights, loaded batch, base_key, step) -> batch``."""
        return jitted_encode(self.models.stage, self.models.encoders)

    def flops(self, batch: int, frames: int, height: int, width: int) -> float | None:
        """Operations that the model needs for one step on clips of pixels; ``None``: not counted."""
        return self.models.stage.flops(self.step.draws * batch, *latent_grid(frames, height, width))

    def summary(self) -> str:
        """Sizes of the models and of the state, in one line."""
        shapes = self.models.stage.shapes()
        per_chip = sharding.bytes_per_device(self.state, self.places)
        return (
            f"{self.models.stage.kind}: {trees.size_bytes(shapes.trainable) / 4e6:.1f} M weights trained, "
            f"{trees.size_bytes(shapes.frozen) / 1e9:.2f} GB frozen; mesh {dict(self.mesh.shape)} of "
            f"{self.mesh.devices.flat[0].device_kind}, state {per_chip / 1e9:.2f} GB per chip"
        )


@functools.lru_cache(maxsize=4)
def jitted_encode(stage: Stage, encoders: Encoders) -> Callable[..., Any]:
    """`make_encode`, jitted once for each stage: training and validation share it where they can."""
    return jax.jit(make_encode(stage, encoders))


def make_plan(
    model: ModelConfig,
    optimizer: OptimConfig,
    step: StepConfig,
    size: tuple[int, int, int],
    *,
    steps: int,
    ema: bool,
    mesh: Mesh,
    platform: str | None = None,
) -> RunPlan:
    """Plan a run; reads JSON at most.

    Args:
      model: settings of the models.
      optimizer: settings of the optimizer.
      step: choices of the training step.
      size: frames, rows and columns of the clips.
      steps: of the whole run.
      ema: keep a moving average of the weights.
      mesh: devices, which need not exist.
      platform: theirs; default: this machine's.

    Raises:
      UserError: models that are unknown or missing, clips that do not fit them, or weights without a place.
    """
    models = registry.training_models(model, platform)
    models.stage.check_size(*size)
    if not models.stage.denoises and (step.timestep_shift != 1 or step.min_snr):
        raise UserError(
            f"the {models.stage.kind} stage has no timesteps: leave step.timestep_shift at 1 and step.min_snr at 0"
        )
    chain = make_optimizer(optimizer, steps)
    start = functools.partial(init_state, optimizer=chain, ema=ema)
    shapes = jax.eval_shape(start, models.stage.shapes().trainable)
    places = state_shardings(shapes, mesh, offload=optimizer.offload)
    return RunPlan(models, mesh, chain, step, ema, sharding.shapes_at(shapes, places))
