"""The programs of training, with shapes in place of arrays: encoders, step and validation of every stage.

VAE and T5 run in a program of their own (`vp_jax.training.encode`) unless latent shards replace them; while one program
runs, the weights of the other stay in memory.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from vp_jax import sharding
from vp_jax.data.batches import PixelBatch
from vp_jax.inference.settings import Settings
from vp_jax.planning.case import Case, Prepared, bytes_of
from vp_jax.runs.plan import RunPlan, make_plan
from vp_jax.training.models import ModelConfig
from vp_jax.training.optim import OptimConfig
from vp_jax.training.stages.stage import Stage
from vp_jax.training.step import StepConfig

SHORT = 9
"""Frames of clips that are to be lowered and not to be trained on: one chunk of the VAE in each direction."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training run compiles.

    Attributes:
      model, optimizer, step: settings, see ``configs/common.py``.
      batch, frames, height, width: of the clips of the loader.
      steps: of the learning rate's schedule.
      ema: a moving average is kept.
      online: VAE and T5 run in front of the step; else latent shards hold what they give.
    """

    model: ModelConfig
    optimizer: OptimConfig
    step: StepConfig
    batch: int
    frames: int
    height: int
    width: int
    steps: int = 1000
    ema: bool = False
    online: bool = True

    @classmethod
    def of_config(cls, config: Any) -> Run:
        """Of the settings of a run. Raises `UserError` for a setting out of range."""
        loader = config.loader
        return cls(
            ModelConfig(**config.model),
            OptimConfig(**config.optimizer),
            StepConfig(**config.step),
            loader.batch_size,
            loader.frames,
            loader.height,
            loader.width,
            config.steps,
            config.ema,
            config.data.kind != "latents",
        )

    @classmethod
    def of_case(cls, case: Case, stage: str) -> Run:
        """A stage by name with the default settings."""
        model = ModelConfig(
            stage=stage, name=case.model, dtype=case.precision, remat=case.remat, branch_remat=case.remat
        )
        return cls(model, OptimConfig(), StepConfig(), case.batch, *case.clip)

    @property
    def size(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        return self.frames, self.height, self.width


class Programs(NamedTuple):
    """Programs of a run on its mesh.

    Attributes:
      encode: VAE and T5; state and frozen weights wait while it runs.
      train_step: the step; VAE and T5 wait while it runs, unless latent shards take their place.
      model_flops: operations of a step that the model needs, on one device; ``None``: not counted.
    """

    encode: Prepared
    train_step: Prepared
    model_flops: float | None


@functools.lru_cache(maxsize=4)
def programs(run: Run, mesh: Mesh, platform: str) -> Programs:
    """Programs of a run.

    Args:
      run: its settings.
      mesh: devices, which need not be here.
      platform: of the devices that the programs are lowered for: ``cpu``, ``gpu`` or ``tpu``.

    Raises:
      UserError: as `vp_jax.runs.plan.make_plan`.
    """
    plan = _plan(run, mesh, platform)
    stage, encoders = plan.models.stage, plan.models.encoders
    frozen, weights = sharding.placed(stage.shapes().frozen, mesh), sharding.placed(encoders.shapes(), mesh)
    key, loaded = _key(mesh), _loaded(run, plan, mesh)
    batch = _batch(stage, plan, loaded, mesh)
    needed, waiting = plan.flops(run.batch, *run.size), bytes_of(weights) if run.online else 0
    return Programs(
        Prepared(plan.encode, (weights, loaded, key, plan.state.step), {}, "", bytes_of((plan.state, frozen))),
        Prepared(plan.train_step, (plan.state, frozen, batch, key), {}, _attention(stage), waiting),
        needed and needed / mesh.size,
    )


def validation(run: Run, mesh: Mesh, platform: str) -> Prepared:
    """Samples of the model under training; arguments and errors as of `programs`."""
    plan = _plan(run, mesh, platform)
    stage, encoders = plan.models.stage.whole_clips(), plan.models.encoders
    weights, key = sharding.placed(encoders.shapes(), mesh), _key(mesh)
    batch = _batch(stage, plan, _loaded(run, plan, mesh), mesh)
    ids_M = jax.ShapeDtypeStruct((plan.models.text_len,), jnp.int32)
    empty = jax.eval_shape(lambda weights, ids: stage.empty_caption(encoders, weights, ids, None), weights, ids_M)
    everywhere = sharding.replicated(mesh)
    sampler = stage.sampler(encoders, Settings(window=run.frames), plan.models.schedule)
    frozen = sharding.placed(stage.shapes().frozen, mesh)
    arguments = (plan.state.params, frozen, weights, batch, _copies(empty, mesh), key)
    return Prepared(jax.jit(sampler, out_shardings=everywhere), arguments, {}, _attention(stage))


def stage_program(case: Case, stage: str, part: str) -> Prepared | None:
    """One program of a stage with its default settings; ``None`` for a stage that the model of ``case`` cannot train.

    Args:
      case: model and devices.
      stage: of `vp_jax.training.stages.registry`.
      part: ``encode``, ``train_step`` or ``validate``.
    """
    if stage in ("backbone", "joint") and case.variant.t5 is None:
        return None
    run = Run.of_case(case, stage)
    if part == "validate":
        return validation(dataclasses.replace(run, frames=SHORT), case.mesh, case.platform)
    if stage == "vae":
        run = dataclasses.replace(run, frames=SHORT)
    found: Prepared = getattr(programs(run, case.mesh, case.platform), part)
    return found


def _plan(run: Run, mesh: Mesh, platform: str) -> RunPlan:
    steps, ema = run.steps, run.ema
    return make_plan(run.model, run.optimizer, run.step, run.size, steps=steps, ema=ema, mesh=mesh, platform=platform)


def _loaded(run: Run, plan: RunPlan, mesh: Mesh) -> Any:
    """What the loader gives."""
    clips = (run.batch, *run.size)
    arrays = (
        ((*clips, 3), jnp.uint8),
        (clips, jnp.uint8),
        ((run.batch,), jnp.float32),
        ((run.batch,), jnp.float32),
        ((run.batch, plan.models.text_len), jnp.int32),
    )
    loaded = PixelBatch._make([*(jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in arrays), None])
    return sharding.shapes_at(loaded, sharding.batch_shardings(loaded, mesh))


def _batch(stage: Stage, plan: RunPlan, loaded: Any, mesh: Mesh) -> Any:
    """What the step of ``stage`` trains on."""
    inputs = functools.partial(stage.inputs, plan.models.encoders)
    batch = jax.eval_shape(inputs, plan.models.encoders.shapes(), loaded, jax.eval_shape(lambda: jax.random.key(0)))
    return sharding.shapes_at(batch, sharding.batch_shardings(batch, mesh))


def _attention(stage: Any) -> str:
    """Backend of the backbone, if the stage has one."""
    backbone = getattr(stage, "backbone", None)
    return "" if backbone is None else str(backbone.attention)


def _key(mesh: Mesh) -> Any:
    return _copies(jax.eval_shape(lambda: jax.random.key(0)), mesh)


def _copies(tree: Any, mesh: Mesh) -> Any:
    everywhere = sharding.replicated(mesh)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), tree)
