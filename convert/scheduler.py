"""``scheduler_config.json`` -> the description of our noise schedule (`vp_jax.diffusion.schedule`), and back.

Defaults are those of the original schedulers (CogVideoX DDIM and DPM), which 2B leaves for ``snr_shift_scale`` 3.
"""

from __future__ import annotations

from typing import Any

from vp_jax.errors import UserError

SOURCE = "scheduler_config.json"

_FIELDS: dict[str, tuple[str, Any]] = {
    "beta_start": ("beta_start", 0.00085),
    "beta_end": ("beta_end", 0.012),
    "num_train_timesteps": ("num_timesteps", 1000),
    "snr_shift_scale": ("snr_shift", 3.0),
    "rescale_betas_zero_snr": ("zero_terminal_snr", False),
    "prediction_type": ("prediction_type", "epsilon"),
    "timestep_spacing": ("timestep_spacing", "leading"),
}
_ONLY: dict[str, Any] = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "num_train_timesteps": 1000}
_FIXED: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "trained_betas": None,
    "set_alpha_to_one": True,
}
_DEFAULTS = {"beta_schedule": "scaled_linear", "clip_sample": True}
_CLASSES = ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler")


def config_from_torch(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values of our ``scheduler/config.json``, key ``kind`` is ``"scheduler"``.

    Raises:
      UserError: a value that our samplers do not implement (named in the message).
    """
    name = values.get("_class_name", _CLASSES[0])
    if name not in _CLASSES:
        raise UserError(f"scheduler {name}: expected one of {_CLASSES}")
    for key, expected in _FIXED.items():
        got = values.get(key, _DEFAULTS.get(key, expected))
        if got != expected:
            raise UserError(f"scheduler config {key} = {got!r}: expected {expected!r}, as in every CogVideoX")
    for key, expected in _ONLY.items():
        got = values.get(key, _FIELDS[key][1])
        if got != expected:
            raise UserError(f"scheduler config {key} = {got!r}: expected {expected!r}, as in every CogVideoX")
    ours = {field: values.get(key, default) for key, (field, default) in _FIELDS.items()}
    sampler = "dpm" if name == "CogVideoXDPMScheduler" else "ddim"
    return {"kind": "scheduler", "sampler": sampler, **ours}


def config_to_torch(values: dict[str, Any]) -> dict[str, Any]:
    """Inverse of `config_from_torch`."""
    name = _CLASSES[1] if values.get("sampler") == "dpm" else _CLASSES[0]
    return {"_class_name": name, **_FIXED, **{key: values[field] for key, (field, _) in _FIELDS.items()}}
