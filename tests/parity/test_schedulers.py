"""Both samplers, both SNR shifts, every latent of a run: every ``scheduler_*.npz`` of the golden folder."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import GOLDEN, relative_error
from tests.parity import reference as ref
from vp_jax.diffusion import steps
from vp_jax.diffusion.schedule import Schedule

CASES = sorted(path.stem for path in GOLDEN.glob("scheduler_*.npz"))


def used_noise(noises, timesteps, total=1000):
    """The draw each step uses: one is made without an old x0 or when p < 0, else two, of which the second is used."""
    draws, used = iter(noises), []
    for i, t in enumerate(timesteps):
        if i and t - total // len(timesteps) >= 0:
            next(draws)
        used.append(next(draws))
    assert next(draws, None) is None, "the reference drew more"
    return used


@pytest.mark.parametrize("case", CASES)
def test_every_latent(golden, case):
    name, snr = re.match(r"scheduler_(ddim|dpm)_snr(\d+(?:\.\d+)?)", case).groups()
    data = ref.arrays(golden / f"{case}.npz")
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


def test_the_folder_holds_both_samplers():
    missing = [name for name in steps.SAMPLERS if not any(f"_{name}_" in case for case in CASES)]
    if missing:
        ref.needed(GOLDEN / f"scheduler_{missing[0]}_*.npz")
    assert not missing
