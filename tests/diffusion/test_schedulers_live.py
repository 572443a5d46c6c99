"""Both samplers against the installed diffusers schedulers, over step counts and SNR shifts."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler
from diffusers.schedulers import scheduling_dpm_cogvideox

from tests.compare import relative_error
from vp_jax.diffusion import steps
from vp_jax.diffusion.schedule import Schedule

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


@pytest.mark.parametrize("count", [1, 3, 10, 50])
@pytest.mark.parametrize("snr", [1.0, 3.0])
@pytest.mark.parametrize("name", ["ddim", "dpm"])
def test_every_latent(monkeypatch, name, snr, count):
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
