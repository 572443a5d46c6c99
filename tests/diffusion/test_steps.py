"""Samplers: properties of the coefficients and of the loop."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.diffusion import predict, sampler, steps
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.diffusion.schedule import Schedule

SCHEDULES = [Schedule(), Schedule(snr_shift=3.0)]


def oracle(x0, schedule):
    """A network that always predicts the true x0: v = (a x - x0) / s, and any v where s = 0 is wrong, so avoided."""

    def predict_fn(x, timestep, index):
        abar = jnp.asarray(schedule.abar, jnp.float32)[timestep]
        return (jnp.sqrt(abar) * x - x0) / jnp.sqrt(1 - abar), None

    return predict_fn


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["ddim", "dpm"])
@pytest.mark.parametrize("count", [1, 2, 8, 50])
def test_a_perfect_prediction_ends_at_x0(name, schedule, count):
    x0 = jnp.linspace(-2, 2, 24).reshape(2, 3, 4)
    table = steps.SAMPLERS[name].table(schedule, count)
    noise = KeyNoise(jax.random.key(1)) if steps.SAMPLERS[name].stochastic else None
    got = sampler.sample(jax.random.normal(jax.random.key(0), x0.shape), table, oracle(x0, schedule), noise)
    assert relative_error(got, x0) < 1e-4


def test_ddim_keeps_the_noise_it_started_from():
    """With the true x0 known, DDIM moves along x_t = a x0 + s eps for one and the same eps."""
    schedule, count = Schedule(), 10
    x0, eps = jax.random.normal(jax.random.key(0), (5,)), jax.random.normal(jax.random.key(1), (5,))
    table, state = steps.DDIM().table(schedule, count), sampler.start(eps)
    for i in range(count - 1):
        state, _ = sampler.step(state, i, table, oracle(x0, schedule), None)
        abar = schedule.abar_at(table.timestep[i] - 100)
        np.testing.assert_allclose(state.x, np.sqrt(abar) * x0 + np.sqrt(1 - abar) * eps, atol=2e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_dpm_keeps_the_variance(schedule):
    """E x'^2 = abar_p E x0^2 + (1 - abar_p) for independent unit noise: keep, data and noise must agree on it."""
    table = steps.DPM().table(schedule, 20)
    for i, t in enumerate(table.timestep[:-1]):
        abar_t, abar_p = schedule.abar_at(t), schedule.abar_at(t - 50)
        row = jax.tree.map(lambda column: float(column[i]), table)  # noqa: B023
        assert row.keep * np.sqrt(abar_t) + row.data == pytest.approx(np.sqrt(abar_p), abs=1e-5)
        assert (row.keep**2 * (1 - abar_t) + row.noise**2) == pytest.approx(1 - abar_p, abs=1e-5)


def test_first_and_last_steps_are_first_order():
    table = steps.DPM().table(Schedule(), 10)
    assert table.history[0] == 0 and table.history[1] == 0  # back = t of pure noise: 1 / (2 r) = 0
    assert table.history[-1] == 0 and np.all(table.history[2:-1] > 0)
    assert table.data[-1] == 1 and table.keep[-1] == 0 and table.noise[-1] == 0


def test_background_replacement_follows_the_list():
    table = steps.DPM().table(Schedule(), 7)
    np.testing.assert_allclose(table.next_signal[:-1], table.signal[1:])
    assert table.next_signal[-1] == 1 and table.next_sigma[-1] == 0


def test_scan_equals_single_steps_and_traces_once():
    schedule, count = Schedule(), 6
    table, noise = steps.DPM().table(schedule, count), KeyNoise(jax.random.key(3))
    x = jax.random.normal(jax.random.key(0), (4, 4))
    predict_fn = lambda x, t, i: (jnp.tanh(x) * (1 + t / 1000), None)  # noqa: E731
    one = jax.jit(chex.assert_max_traces(lambda s, i: sampler.step(s, i, table, predict_fn, noise)[0], n=1))
    state = sampler.start(x)
    for i in range(count):
        state = one(state, i)
    assert relative_error(sampler.sample(x, table, predict_fn, noise), state.x) < 1e-6


def test_prediction_types_agree():
    x0, noise = jax.random.normal(jax.random.key(0), (2, 3, 4)), jax.random.normal(jax.random.key(1), (2, 3, 4))
    abar = jnp.array([0.3, 0.9])
    x_t, v = predict.add_noise(x0, noise, abar), predict.velocity(x0, noise, abar)
    np.testing.assert_allclose(predict.x0_from_velocity(x_t, v, abar), x0, atol=1e-6)
