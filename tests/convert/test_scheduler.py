"""The scheduler's description against the original classes' own defaults and the reference schedules."""

import dataclasses
import inspect

import numpy as np
import pytest

from vp_jax.convert import scheduler
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError

RELEASED = {
    "_class_name": "CogVideoXDDIMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "sample_max_value": 1.0,
    "set_alpha_to_one": True,
    "snr_shift_scale": 1.0,
    "steps_offset": 0,
    "timestep_spacing": "trailing",
    "trained_betas": None,
}


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("name", ["CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"])
def test_schedule_is_the_originals(name, shift):
    import diffusers

    values = {**RELEASED, "_class_name": name, "snr_shift_scale": shift}
    original = getattr(diffusers, name).from_config(values)
    ours = scheduler.config_from_torch(values)
    fields = {f.name for f in dataclasses.fields(Schedule)}
    assert fields <= set(ours)
    schedule = Schedule(**{k: v for k, v in ours.items() if k in fields})
    np.testing.assert_allclose(schedule.abar, original.alphas_cumprod.numpy(), rtol=2e-5, atol=1e-7)
    back = scheduler.config_to_torch(ours)
    assert scheduler.config_from_torch(back) == ours
    rebuilt = getattr(diffusers, back["_class_name"]).from_config(back)
    assert {k: rebuilt.config[k] for k in RELEASED if k != "_class_name"} == {
        k: v for k, v in values.items() if k != "_class_name"
    }


def test_what_the_file_leaves_out_has_the_originals_default():
    import diffusers

    for cls in (diffusers.CogVideoXDDIMScheduler, diffusers.CogVideoXDPMScheduler):
        defaults = {k: p.default for k, p in inspect.signature(cls.__init__).parameters.items() if k != "self"}
        for key, (_, default) in scheduler._FIELDS.items():
            assert defaults[key] == default, key
        for key, default in scheduler._DEFAULTS.items():
            assert defaults[key] == default, key


@pytest.mark.parametrize(
    "key, value",
    [
        ("_class_name", "EulerDiscreteScheduler"),
        ("beta_schedule", "linear"),
        ("prediction_type", "epsilon"),
        ("timestep_spacing", "linspace"),
        ("num_train_timesteps", 500),
        ("clip_sample", True),
        ("set_alpha_to_one", False),
        ("trained_betas", [0.1]),
    ],
)
def test_unsupported_values_are_named(key, value):
    with pytest.raises(UserError, match=value if key == "_class_name" else key):
        scheduler.config_from_torch({**RELEASED, key: value})
