"""Both samplers, both SNR shifts, every latent of a seven-step run."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from tests.parity import reference as ref
from vp_jax.diffusion import steps
from vp_jax.diffusion.schedule import Schedule


def used_noise(noises, timesteps, total=1000):
    """The draw each step uses: one is made without an old x0 or when p < 0, else two, of which the second is used."""
    draws, used = iter(noises), []
    for i, t in enumerate(timesteps):
        if i and t - total // len(timesteps) >= 0:
            next(draws)
        used.append(next(draws))
    assert next(draws, None) is None, "the reference drew more"
    return used


@pytest.mark.parametrize("snr", [1, 3])
@pytest.mark.parametrize("name", ["ddim", "dpm"])
def test_every_latent(golden, name, snr):
    data = ref.arrays(golden / f"scheduler_{name}_snr{snr}.npz")
    schedule = Schedule(snr_shift=float(snr))
    count = len(data["timesteps"])
    assert relative_error(schedule.abar, data["alphas_cumprod"]) <= 1e-6
    np.testing.assert_array_equal(schedule.timesteps(count), data["timesteps"])
    table = steps.SAMPLERS[name].table(schedule, count)
    noises = used_noise(data["noises"], data["timesteps"]) if name == "dpm" else [None] * count
    x, x0_old = jnp.asarray(data["latents"][0]), jnp.zeros(data["latents"][0].shape)
    for i in range(count):
        eps = None if noises[i] is None else jnp.asarray(noises[i])
        x, x0_old = steps.update(steps.row_at(table, i), x, jnp.asarray(data["model_outputs"][i]), x0_old, eps)
        assert relative_error(x, data["latents"][i + 1]) <= 1e-5
