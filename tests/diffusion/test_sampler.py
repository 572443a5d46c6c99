"""The denoising loop: where it ends, what it keeps, what the network and the hook after each step are given."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.diffusion import sampler, steps
from vp_jax.diffusion.noise import KeyNoise, StoredNoise
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
        state, _ = sampler.denoise_step(state, i, table, oracle(x0, schedule), None)
        abar = schedule.abar_at(table.timestep[i] - 100)
        np.testing.assert_allclose(state.x, np.sqrt(abar) * x0 + np.sqrt(1 - abar) * eps, atol=2e-5)


def test_scan_equals_single_steps_and_traces_once():
    schedule, count = Schedule(), 6
    table, noise = steps.DPM().table(schedule, count), KeyNoise(jax.random.key(3))
    x = jax.random.normal(jax.random.key(0), (4, 4))
    predict_fn = lambda x, t, i: (jnp.tanh(x) * (1 + t / 1000), None)  # noqa: E731
    one = jax.jit(chex.assert_max_traces(lambda s, i: sampler.denoise_step(s, i, table, predict_fn, noise)[0], n=1))
    state = sampler.start(x)
    for i in range(count):
        state = one(state, i)
    assert relative_error(sampler.sample(x, table, predict_fn, noise), state.x) < 1e-6


def test_the_network_is_given_the_latents_the_timestep_and_the_number_of_the_step():
    schedule, seen = Schedule(), []
    table = steps.DDIM().table(schedule, 4)

    def predict_fn(x, timestep, index):
        seen.append((np.asarray(x).copy(), int(timestep), int(index)))
        return jnp.ones_like(x), f"extra {int(index)}"

    state = sampler.start(jnp.full((3,), 2.0))
    for i in range(4):
        before = np.asarray(state.x)
        state, extra = sampler.denoise_step(state, i, table, predict_fn, None)
        assert extra == f"extra {i}"
        np.testing.assert_array_equal(seen[-1][0], before)
    assert [call[1:] for call in seen] == [(int(t), i) for i, t in enumerate(schedule.timesteps(4))]


def test_what_is_done_to_the_latents_after_a_step_leaves_the_old_prediction_alone():
    """Background replacement: the second order of the next step needs the network's own x_0."""
    table, x = steps.DPM().table(Schedule(), 5), jnp.linspace(-1, 1, 6)
    noise = StoredNoise({}, jnp.zeros((5, 6)))
    rows = []

    def replace(x, row):
        rows.append(float(row.next_signal))
        return x * 0 + 7

    plain, _ = sampler.denoise_step(sampler.start(x), 1, table, lambda x, t, i: (x * 0.5, None), noise)
    edited, _ = sampler.denoise_step(sampler.start(x), 1, table, lambda x, t, i: (x * 0.5, None), noise, replace)
    np.testing.assert_array_equal(edited.x, np.full(6, 7.0))
    np.testing.assert_array_equal(edited.x0_old, plain.x0_old)
    assert rows == [float(table.next_signal[1])] and float(jnp.abs(plain.x0_old).max()) > 0


@pytest.mark.parametrize("name", ["ddim", "dpm"])
def test_the_loop_written_out(name):
    """In float64, step by step from the coefficients: the hook runs after each update, the old x_0 is the raw one."""
    table = steps.SAMPLERS[name].table(Schedule(), 6)
    draws = np.random.default_rng(0).standard_normal((6, 5))
    x = x_first = np.random.default_rng(1).standard_normal(5)
    old = np.zeros(5)
    for i in range(6):
        row = [float(column[i]) for column in table]
        t, signal, sigma, keep, data, history, noise, next_signal, _ = row
        v = np.sin(x) * (1 + t / 1000)
        x0 = signal * x - sigma * v
        x = keep * x + data * (x0 + history * (x0 - old)) + (noise * draws[i] if name == "dpm" else 0)
        old, x = x0, 0.9 * x + next_signal
    got = sampler.sample(
        jnp.asarray(x_first, jnp.float32),
        table,
        lambda x, t, i: (jnp.sin(x) * (1 + t / 1000), None),
        StoredNoise({}, jnp.asarray(draws, jnp.float32)) if name == "dpm" else None,
        lambda x, row: 0.9 * x + row.next_signal,
    )
    assert relative_error(got, x) < 1e-5


def test_latents_are_float32_whatever_comes_in():
    state = sampler.start(jnp.ones((2, 2), jnp.bfloat16))
    assert (state.x.dtype, state.x0_old.dtype) == (jnp.float32, jnp.float32) and not state.x0_old.any()
    table = steps.DDIM().table(Schedule(), 2)
    after, _ = sampler.denoise_step(state, 0, table, lambda x, t, i: (x.astype(jnp.bfloat16), None), None)
    assert (after.x.dtype, after.x0_old.dtype) == (jnp.float32, jnp.float32)
