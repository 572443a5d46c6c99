"""Coefficients of both samplers: against diffusers over step counts and SNR shifts, and what they keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from diffusers.schedulers import scheduling_dpm_cogvideox

from tests.compare import relative_error
from vp_jax.diffusion import steps
from vp_jax.diffusion.schedule import Schedule

SCHEDULES = [Schedule(), Schedule(snr_shift=3.0)]
CONFIG = dict(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    rescale_betas_zero_snr=True,
    timestep_spacing="trailing",
    clip_sample=False,
    set_alpha_to_one=True,
)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 10, 50])
@pytest.mark.parametrize("snr", [1.0, 3.0])
@pytest.mark.parametrize("name", ["ddim", "dpm"])
def test_every_latent_equals_diffusers(monkeypatch, name, snr, count):
    scheduler = (CogVideoXDDIMScheduler if name == "ddim" else CogVideoXDPMScheduler)(**CONFIG, snr_shift_scale=snr)
    scheduler.set_timesteps(count)
    schedule = Schedule(snr_shift=snr)
    np.testing.assert_array_equal(scheduler.timesteps, schedule.timesteps(count))
    table = steps.SAMPLERS[name].table(schedule, count)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 2, 3, 4, 4), np.float32)
    ours, theirs, x0_old, pred_old = jnp.asarray(x), torch.from_numpy(x), jnp.zeros(x.shape), None
    for i, t in enumerate(scheduler.timesteps):
        v, eps = (rng.standard_normal(x.shape, np.float32) for _ in range(2))
        if name == "ddim":
            theirs = scheduler.step(torch.from_numpy(v), t, theirs).prev_sample
        else:
            draw = torch.from_numpy(eps)
            monkeypatch.setattr(scheduling_dpm_cogvideox, "randn_tensor", lambda *_, **__: draw)  # noqa: B023
            back = scheduler.timesteps[i - 1] if i else None
            theirs, pred_old = scheduler.step(torch.from_numpy(v), pred_old, t, back, theirs, return_dict=False)
        ours, x0_old = steps.update(
            steps.row_at(table, i), ours, jnp.asarray(v), x0_old, None if name == "ddim" else jnp.asarray(eps)
        )
        assert relative_error(ours, theirs.numpy()) <= 1e-5


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


def test_a_step_goes_to_the_timestep_a_whole_stride_before_not_to_the_next_of_the_list():
    """Seven steps: 999 goes to 857 though the list goes on with 856."""
    schedule = Schedule()
    assert schedule.timesteps(7)[:2].tolist() == [999, 856]
    table = steps.DDIM().table(schedule, 7)
    abar_t, abar_p = schedule.abar[856], schedule.abar[856 - 142]
    keep = np.sqrt((1 - abar_p) / (1 - abar_t))
    assert table.keep[1] == pytest.approx(keep, rel=1e-6)
    assert table.data[1] == pytest.approx(np.sqrt(abar_p) - keep * np.sqrt(abar_t), rel=1e-6)


@pytest.mark.parametrize("name", steps.SAMPLERS)
def test_the_columns_of_a_table(name):
    schedule = Schedule()
    table = steps.SAMPLERS[name].table(schedule, 10)
    assert table.timestep.dtype == np.int32 and {column.dtype for column in table[1:]} == {np.dtype(np.float32)}
    assert {len(column) for column in table} == {10}
    np.testing.assert_allclose(table.signal**2, schedule.abar[table.timestep], rtol=1e-6)
    np.testing.assert_allclose(table.signal**2 + table.sigma**2, 1, rtol=1e-6)
    assert (name == "ddim") == (not table.noise.any() and not table.history.any())
    assert steps.SAMPLERS[name].stochastic == (name == "dpm")
    third = jax.jit(steps.row_at)(table, jnp.int32(3))
    assert [float(value) for value in third] == [float(column[3]) for column in table]


@pytest.mark.parametrize("name", steps.SAMPLERS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7, 11, 15, 20, 30, 35, 50])
def test_by_the_list_every_step_leads_to_the_next_and_the_last_to_clean_latents(name, count):
    schedule = Schedule()
    table = steps.SAMPLERS[name].table(schedule, count, by_list=True)
    as_published = steps.SAMPLERS[name].table(schedule, count)
    if 1000 % count == 0:
        assert all((a == b).all() for a, b in zip(table, as_published))
    # clean data x0 with the noise of its timestep becomes x0 with that of the next: variances add up
    signal = table.keep * table.signal + table.data
    variance = (table.keep * table.sigma) ** 2 + table.noise**2
    np.testing.assert_allclose(signal, table.next_signal, atol=1e-5)
    np.testing.assert_allclose(variance, table.next_sigma**2, atol=1e-5)
    assert table.keep[-1] == table.noise[-1] == table.history[-1] == 0 and table.data[-1] == 1


@pytest.mark.parametrize("count", [6, 7, 11, 13, 15])
def test_as_published_the_last_step_extrapolates_with_these_counts(count):
    table = steps.DPM().table(Schedule(), count)
    assert table.history[-1] > 1 and table.keep[-1] > 0
