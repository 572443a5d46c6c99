"""The held-out loss: no chance in it, its mean, and the timesteps that it names."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from tests.training.stages.toy import ToyStage
from vp_jax import sharding
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models.variants import variant
from vp_jax.runs.held_out import TIMESTEPS, held_out_loss
from vp_jax.training.encode import EncodedClips
from vp_jax.training.step import StepConfig


@pytest.fixture(scope="module")
def loss():
    models = SimpleNamespace(stage=ToyStage(variant("tiny").backbone), schedule=Schedule())
    plan = SimpleNamespace(models=models, step=StepConfig(), mesh=sharding.make_mesh({}, jax.devices()[:1]))
    batch = EncodedClips(jax.random.normal(jax.random.key(0), (2, 2, 4, 4, 16)), None)
    return held_out_loss(plan, batch, jax.random.key(1))


def test_the_same_weights_give_the_same_numbers_and_others_give_others(loss):
    first, again, other = (loss({"bias": jnp.full(16, value)}, {}) for value in (0.0, 0.0, 0.1))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_each_timestep_is_named_and_the_mean_is_theirs(loss):
    found = loss({"bias": jnp.zeros(16)}, {})
    assert set(found) == {"val_loss", *(f"val_loss_t{t:03d}" for t in TIMESTEPS)}
    parts = [value for name, value in found.items() if name != "val_loss"]
    assert found["val_loss"] == pytest.approx(sum(parts) / len(parts))
