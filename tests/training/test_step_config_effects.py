"""Every setting of the step changes what it says, and only that: one test per field of `StepConfig`.

Each compares a step of the smallest stage with one that differs in a single field.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.training.stages.toy import ToyStage
from vp_jax.diffusion.loss import min_snr_weight
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models.variants import variant
from vp_jax.training.encode import EncodedClips
from vp_jax.training.state import TrainState, init_state
from vp_jax.training.step import StepConfig, make_train_step

BATCH, SCHEDULE = 64, Schedule()


@dataclasses.dataclass(frozen=True)
class HalfHole(ToyStage):
    """The left half of every clip is a hole."""

    def hole(self, batch):
        return jnp.ones(batch.latents_BThwC.shape[:-1]).at[..., 2:].set(0)


STAGE = HalfHole(variant("tiny").backbone)
OPTIMIZER = optax.sgd(0.1)


@functools.cache
def stepped(**values: Any) -> tuple[TrainState, dict[str, np.ndarray]]:
    """State and metrics after a step from a bias of 1, whose average is 0."""
    state = init_state({"bias": jnp.ones(16)}, OPTIMIZER, ema=True)
    state = dataclasses.replace(state, ema={"bias": jnp.zeros(16)})
    batch = EncodedClips(jax.random.normal(jax.random.key(0), (BATCH, 2, 4, 4, 16)), None)
    step = jax.jit(make_train_step(STAGE, OPTIMIZER, StepConfig(**values), SCHEDULE))
    return jax.device_get(step(state, {}, batch, jax.random.key(1)))


def drawn(metrics: dict[str, np.ndarray]) -> np.ndarray:
    """Examples in each tenth of the timesteps."""
    return metrics["bin_count"]


def checks_hole_weight(old, new) -> None:
    (_, plain), (_, changed) = old, new
    np.testing.assert_allclose(changed["loss"], plain["loss_whole"] + 3 * plain["loss_hole"], rtol=1e-5)
    np.testing.assert_array_equal(drawn(changed), drawn(plain))


def checks_accumulate(old, new) -> None:
    np.testing.assert_allclose(new[0].params["bias"], old[0].params["bias"], rtol=1e-5)
    assert {name: np.shape(v) for name, v in new[1].items()} == {name: np.shape(v) for name, v in old[1].items()}


def checks_draws(old, new) -> None:
    """Three timesteps for every example, whose loss is the mean of theirs; the gradient is still a mean."""
    assert drawn(new[1]).sum() == 3 * drawn(old[1]).sum() == 3 * BATCH
    assert new[1]["loss_by_example"].shape == (BATCH,)
    np.testing.assert_allclose(new[1]["loss_by_example"].mean(), new[1]["loss"], rtol=1e-5)
    np.testing.assert_allclose(new[1]["loss"], old[1]["loss"], rtol=0.1)
    np.testing.assert_allclose(new[1]["grad_norm"], old[1]["grad_norm"], rtol=0.1)


def checks_ema_decay(old, new) -> None:
    for state, decay in ((old[0], 0.9999), (new[0], 0.75)):
        np.testing.assert_allclose(state.ema["bias"], (1 - decay) * state.params["bias"], rtol=1e-2)
    np.testing.assert_array_equal(new[0].params["bias"], old[0].params["bias"])


def checks_timestep_shift(old, new) -> None:
    """Of 64 uniform timesteps about 32 are in the upper half; shifted by 8, 8/9 of them are."""
    assert 24 <= drawn(old[1])[5:].sum() <= 40 and drawn(new[1])[5:].sum() >= 52
    assert drawn(new[1]).sum() == BATCH
    assert (new[0].params["bias"] != old[0].params["bias"]).all()


def checks_min_snr(old, new) -> None:
    """Losses are reported as before, the gradient is that of weighted ones: smaller, and in another direction."""
    for name in ("loss", "loss_whole", "loss_hole", "loss_by_example", "bin_loss", "bin_count"):
        np.testing.assert_allclose(new[1][name], old[1][name], rtol=1e-6)
    assert 0 < new[1]["grad_norm"] < old[1]["grad_norm"]
    moved = [1 - state.params["bias"] for state, _ in (old, new)]
    assert np.ptp(moved[1] / moved[0]) > 0.01


KNOBS: dict[str, tuple[Any, Callable[..., None]]] = {
    "hole_weight": (3.0, checks_hole_weight),
    "accumulate": (4, checks_accumulate),
    "draws": (3, checks_draws),
    "ema_decay": (0.75, checks_ema_decay),
    "timestep_shift": (8.0, checks_timestep_shift),
    "min_snr": (5.0, checks_min_snr),
}


def test_every_field_is_tested():
    assert set(KNOBS) == {field.name for field in dataclasses.fields(StepConfig)}


@pytest.mark.parametrize("field", KNOBS)
def test_a_setting_changes_what_it_says_and_only_that(field):
    value, check = KNOBS[field]
    assert getattr(StepConfig(), field) != value
    check(stepped(), stepped(**{field: value}))


def test_the_weight_is_that_of_the_paper_by_hand():
    """min(SNR, 5) / (SNR + 1): equal to 5 / (SNR + 1) at low noise, SNR / (SNR + 1) at high noise."""
    snr = np.array([1e3, 5.0, 1.0, 1e-3, 0.0])
    want = np.minimum(snr, 5) / (snr + 1)
    np.testing.assert_allclose(min_snr_weight(jnp.asarray(snr / (1 + snr)), 5.0), want, rtol=1e-3, atol=1e-6)
