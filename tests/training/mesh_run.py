"""Five real training steps of a toy model on a mesh; run as a program it is one of several processes.

python -m tests.training.mesh_run PROCESS COUNT ADDRESS STAGE        prints the losses as JSON
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax import sharding
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models.config import BranchConfig, DiTConfig
from vp_jax.training.encode import Encoded
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.stages.branch import BranchStage
from vp_jax.training.stages.id_adapter import AdapterStage, adapter_config
from vp_jax.training.stages.weights import random_weights
from vp_jax.training.state import TrainState, init_state
from vp_jax.training.step import StepConfig, make_train_step

STEPS, BATCH, TEXT = 5, 8, 6
_COMMON = dict(
    num_heads=8,
    head_dim=16,
    text_dim=32,
    time_dim=32,
    max_text_len=TEXT,
    sample_height=8,
    sample_width=12,
    sample_frames=9,
    learned_positions=True,
)
BACKBONE = DiTConfig(num_layers=4, in_channels=32, **_COMMON)
BRANCH = BranchConfig(DiTConfig(num_layers=2, in_channels=33, **_COMMON))
STAGES = {"branch": BranchStage(BACKBONE, BRANCH), "id_adapter": AdapterStage(BACKBONE, BRANCH, adapter_config(8, 4.0))}


def numbers() -> Encoded:
    """A batch of 78 tokens each, which 4 does not divide."""
    rng = np.random.default_rng(0)
    size = (BATCH, 3, 8, 12)
    mask = np.zeros(size, np.float32)
    mask[:, :, 2:6, 3:9] = 1
    values = {
        name: rng.standard_normal((*size, 16), np.float32)
        for name in ("latents_BThwC", "masked_latents_BThwC", "image_latents_BThwC")
    }
    return Encoded(**values, mask_BThw=mask, text_BME=rng.standard_normal((BATCH, TEXT, 32), np.float32))


class Prepared:
    """The step on a mesh, with its arguments in their places."""

    def __init__(self, stage_name: str, sizes: Mapping[str, int]) -> None:
        stage = STAGES[stage_name]
        mesh = sharding.make_mesh(sizes, jax.devices()[: int(np.prod(list(sizes.values())))])
        optimizer = make_optimizer(OptimConfig(lr=1e-3, warmup=1), 100)
        keys = jax.random.split(jax.random.key(1), 3)

        def start():
            models = {"backbone": random_weights(BACKBONE, keys[0]), "branch": random_weights(BRANCH, keys[1])}
            weights = stage.start(models, keys[2])
            return init_state(weights.trainable, optimizer, ema=True), weights.frozen

        # built once, whole, then placed: the same numbers on every mesh
        state, frozen = jax.tree.map(np.asarray, jax.jit(start)())
        self.mesh = mesh
        self.state, self.frozen = (self._put(tree, sharding.place(tree, mesh).shardings) for tree in (state, frozen))
        batch = numbers()
        self.batch = self._put(batch, sharding.batch_shardings(batch, mesh))
        placed = jax.tree.map(lambda leaf: leaf.sharding, self.state)
        step = make_train_step(stage, optimizer, StepConfig(), Schedule())
        self._step = jax.jit(step, out_shardings=(placed, sharding.replicated(mesh)))

    @functools.cached_property
    def compiled(self) -> jax.stages.Compiled:
        """The step, which takes longer to compile than anything else here."""
        with jax.set_mesh(self.mesh):
            return self._step.lower(self.state, self.frozen, self.batch, self._key()).compile()

    @staticmethod
    def _put(tree, shardings):
        return jax.tree.map(lambda x, s: jax.make_array_from_callback(x.shape, s, lambda i: x[i]), tree, shardings)

    def _key(self) -> jax.Array:
        # made where it is needed: device_put reaches this process's devices only
        return jax.jit(lambda: jax.random.key(3), out_shardings=sharding.replicated(self.mesh))()

    def losses(self) -> list[float]:
        state: TrainState = self.state
        losses = []
        for _ in range(STEPS):
            state, metrics = self.compiled(state, self.frozen, self.batch, self._key())
            losses.append(float(metrics["loss"]))
        self.last = state
        return losses


if __name__ == "__main__":
    process, count, address, stage_name = sys.argv[1:]
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.distributed.initialize(address, int(count), int(process))
    assert jax.process_count() == int(count) and len(jax.local_devices()) < jax.device_count()
    jnp.zeros(())
    print(json.dumps(Prepared(stage_name, {"fsdp": 2, "context": 2}).losses()), flush=True)
    jax.distributed.shutdown()
