"""The two programs of a training step, pure functions; what is trained and how is the stage's.

    encode(encoder_weights, loaded batch, base_key, step) -> batch
    train_step(state, frozen, batch, base_key) -> (state, metrics)

Every random number of step i comes from ``fold_in(base_key, i)``: a resumed run repeats an uninterrupted one. Draws are
made for the complete batch, which is then cut into ``accumulate`` parts, whose gradients are averaged in float32: the
result is that of the complete batch, on any number of devices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError, check_numbers
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.stage import Loss, Metrics, Stage, StepKeys
from vp_jax.training.state import TrainState

BY_EXAMPLE = "loss_by_example"
"""The metric that has a number for every example of the batch."""

NESTED = ("backbone", "branch", "t5", "vae")
"""Names of models at the top of a tree of weights."""

TrainStep = Callable[..., tuple[TrainState, Metrics]]
Encode = Callable[[trees.Tree, PixelBatch | LatentBatch, jax.Array, jax.Array], Any]


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """Choices of the step.

    Attributes:
      hole_weight: lambda of the loss.
      accumulate: parts that a batch is cut into, one in memory at a time.
      draws: noises and timesteps drawn for every example: worth it where reading an example takes longer than a pass.
      ema_decay: of the moving average, if the state has one.
      timestep_shift: moves the drawn timesteps to high noise, see `vp_jax.training.stages.denoising.shifted_timesteps`;
        1: uniform, as published.
      min_snr: gamma of the weight of examples in the objective, see `vp_jax.diffusion.loss.min_snr_weight`; 0: all
        weights are 1, as published. Reported losses are never weighted.
    """

    hole_weight: float = 1.0
    accumulate: int = 1
    draws: int = 1
    ema_decay: float = 0.9999
    timestep_shift: float = 1.0
    min_snr: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "accumulate draws", 1)
        check_numbers(self, "hole_weight min_snr")
        check_numbers(self, "timestep_shift", above=True)
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema_decay {self.ema_decay}: expected 0 or more, below 1")


def step_keys(base_key: jax.Array, step: jax.Array | int) -> StepKeys:
    """The keys of ``step``."""
    return StepKeys(*jax.random.split(jax.random.fold_in(base_key, step), len(StepKeys._fields)))


def make_encode(stage: Stage, encoders: Encoders) -> Encode:
    """The program in front of the step, to be jitted by the caller.

    Returns:
      ``encode(encoder_weights, loaded batch, base_key, step) -> batch`` of the stage.
    """

    def encode(weights: trees.Tree, batch: PixelBatch | LatentBatch, base_key: jax.Array, step: jax.Array) -> Any:
        return stage.inputs(encoders, weights, batch, step_keys(base_key, step).encode)

    return encode


def make_train_step(
    stage: Stage, optimizer: optax.GradientTransformation, cfg: StepConfig, schedule: Schedule
) -> TrainStep:
    """The step, to be jitted by the caller with ``donate_argnums=0``.

    Returns:
      ``train_step(state, frozen, batch, base_key, draws=None) -> (state, metrics)``. ``draws`` replace those of
      the key. Metrics are float32 scalars, `BY_EXAMPLE` (B,), and what `Stage.metrics` adds. A step whose loss or
      gradient is not finite changes the step's number alone.
    """

    def train_step(
        state: TrainState, frozen: trees.Tree, batch: Any, base_key: jax.Array, draws: Any = None
    ) -> tuple[TrainState, Metrics]:
        if cfg.draws > 1:
            batch = jax.tree.map(lambda a: jnp.repeat(a, cfg.draws, axis=0), batch)
        if draws is None:
            draws = stage.draw(step_keys(base_key, state.step), batch, schedule, cfg.timestep_shift)
        grads, loss = gradients(stage, cfg, schedule, state.params, frozen, batch, draws)
        # a state that waits in the host's memory comes over here; out_shardings send it back
        resting = jax.device_put(state.opt_state, jax.memory.Space.Device)
        updates, opt_state = optimizer.update(grads, resting, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema is not None:
            ema = optax.incremental_update(params, ema, 1.0 - cfg.ema_decay)
        total_B = loss.total(cfg.hole_weight)
        mean, norm = total_B.mean(), optax.tree.norm(grads)
        finite = jnp.isfinite(mean) & jnp.isfinite(norm)
        params, opt_state, ema = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (params, opt_state, ema), (state.params, resting, state.ema)
        )
        metrics = {
            "loss": mean,
            BY_EXAMPLE: total_B.reshape(-1, cfg.draws).mean(axis=1),
            **{f"loss_{name.removesuffix('_B')}": part_B.mean() for name, part_B in loss._asdict().items()},
            "grad_norm": norm,
            "param_norm": optax.tree.norm(params),
            "update_norm": optax.tree.norm(updates),
            **{f"grad_norm_{name}": norm for name, norm in part_norms(grads).items()},
        }
        metrics |= stage.metrics(total_B, draws, schedule)
        return TrainState(state.step + 1, params, opt_state, ema), metrics

    return train_step


def part_norms(tree: trees.Tree) -> dict[str, jax.Array]:
    """Norm of each part of a model by its name: ``patch_embed``, ``blocks``, ``zero``, ``proj_out`` ...

    Of a tree of several models, `NESTED`, the parts are those of each: ``backbone_blocks``, ``t5_embed`` ...
    """
    parts: dict[str, trees.Tree] = {}
    for name, part in tree.items():
        parts |= {f"{name}_{below}": leaf for below, leaf in part.items()} if name in NESTED else {name: part}
    return {name: optax.tree.norm(part) for name, part in parts.items()}


def gradients(
    stage: Stage,
    cfg: StepConfig,
    schedule: Schedule,
    trainable: trees.Tree,
    frozen: trees.Tree,
    batch: Any,
    draws: Any,
) -> tuple[trees.Tree, Loss]:
    """Gradients of the batch's mean loss, float32, and the loss of every example."""

    def mean_loss(trainable: trees.Tree, batch: Any, draws: Any) -> tuple[jax.Array, Loss]:
        loss = stage.loss(trainable, frozen, batch, draws, schedule)
        total_B = loss.total(cfg.hole_weight)
        if cfg.min_snr:
            total_B = stage.example_weights(draws, schedule, cfg.min_snr) * total_B
        return total_B.mean(), loss

    gradient: Callable[..., tuple[trees.Tree, Loss]] = jax.grad(mean_loss, has_aux=True)
    if cfg.accumulate == 1:
        return gradient(trainable, batch, draws)

    def body(total: trees.Tree, part: tuple[Any, Any]) -> tuple[trees.Tree, Loss]:
        grads, loss = gradient(trainable, *part)
        return jax.tree.map(jnp.add, total, grads), loss

    parts = jax.tree.map(lambda a: _cut(a, cfg.accumulate), (batch, draws))
    total, parts_loss = jax.lax.scan(body, jax.tree.map(jnp.zeros_like, trainable), parts)
    mean = jax.tree.map(lambda g: g / cfg.accumulate, total)
    loss: Loss = jax.tree.map(lambda a: a.swapaxes(0, 1).reshape(-1), parts_loss)
    return mean, loss


def _cut(a: jax.Array, parts: int) -> jax.Array:
    """(B, ...) -> (parts, B / parts, ...), part i taking rows i, i + parts ...: rows of a chip stay on it."""
    if a.shape[0] % parts:
        raise UserError(f"a batch of {a.shape[0]} cannot be cut into {parts} parts: change batch_size or accumulate")
    return a.reshape(a.shape[0] // parts, parts, *a.shape[1:]).swapaxes(0, 1)
