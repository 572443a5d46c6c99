"""Noise schedule: limits, monotony, the shift, the timestep list."""

import numpy as np
import pytest

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_signal_falls_from_near_one_to_zero(shift):
    abar = Schedule(snr_shift=shift).abar
    assert abar.dtype == np.float64 and abar[0] > 0.99 and abar[-1] == 0
    assert np.all(np.diff(abar) < 0)


def test_shift_divides_the_signal_to_noise_ratio():
    plain, shifted = (Schedule(snr_shift=s, zero_terminal_snr=False).abar for s in (1.0, 3.0))
    np.testing.assert_allclose(shifted / (1 - shifted), plain / (1 - plain) / 3, rtol=1e-10)


@pytest.mark.parametrize("steps", [1, 3, 7, 50, 999, 1000])
def test_timesteps_are_the_rounded_even_list(steps):
    got = Schedule().timesteps(steps)
    assert list(got) == [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_step_counts_are_named(steps):
    with pytest.raises(UserError, match=f"{steps} steps: expected 1..1000"):
        Schedule().timesteps(steps)


def test_bad_descriptions_are_named():
    with pytest.raises(UserError, match="snr_shift 0"):
        Schedule(snr_shift=0)
    with pytest.raises(UserError, match="betas"):
        Schedule(beta_start=0.5, beta_end=0.1)


def test_a_converted_description_keeps_what_it_names_and_passes_over_the_rest():
    values = {"kind": "scheduler", "sampler": "dpm", "snr_shift": 3.0, "zero_terminal_snr": False}
    assert Schedule.from_json(values) == Schedule(snr_shift=3.0, zero_terminal_snr=False)


def test_before_the_first_timestep_there_is_no_noise():
    schedule = Schedule()
    assert schedule.abar_at(-1) == schedule.abar_at(-500) == 1.0
    assert schedule.abar_at(0) == schedule.abar[0] < 1 and schedule.abar_at(999) == 0


def test_the_schedule_written_out():
    """Scaled linear betas, their product, the shift, then sqrt(abar) moved and stretched to end at zero."""
    roots = [0.00085**0.5 + i / 999 * (0.012**0.5 - 0.00085**0.5) for i in range(1000)]
    power, want = 1.0, []
    for root in roots:
        power *= 1 - root**2
        want.append((power / (3 - 2 * power)) ** 0.5)
    want = [((root - want[-1]) * want[0] / (want[0] - want[-1])) ** 2 for root in want]
    np.testing.assert_allclose(Schedule(snr_shift=3.0).abar, want, rtol=1e-9, atol=1e-15)
