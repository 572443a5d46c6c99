"""``scheduler_config.json`` -> the description of our noise schedule (`vp_jax.diffusion.schedule`), and back.

Defaults are those of the original schedulers (CogVideoX DDIM and DPM), which 2B leaves for ``snr_shift_scale`` 3.
"""

from __future__ import annotations

from typing import Any

from vp_jax.convert.original import Original
from vp_jax.errors import UserError
from vp_jax.models import config
from vp_jax.models.config import SchedulerConfig
from vp_jax.reading import show

SOURCE = "scheduler_config.json"

_FIELDS: dict[str, tuple[str, Any]] = {
    # theirs: (ours, their default where the file leaves it out)
    "beta_start": ("beta_start", 0.00085),
    "beta_end": ("beta_end", 0.012),
    "num_train_timesteps": ("num_timesteps", 1000),
    "snr_shift_scale": ("snr_shift", 3.0),
    "rescale_betas_zero_snr": ("zero_terminal_snr", False),
    "prediction_type": ("prediction_type", "epsilon"),
    "timestep_spacing": ("timestep_spacing", "leading"),
}
_DEFAULTS = {"beta_schedule": "scaled_linear", "clip_sample": True}
SCHEDULER_FIELDS = Original(
    "scheduler",
    fields={theirs: ours for theirs, (ours, _) in _FIELDS.items()},
    defaults={theirs: default for theirs, (_, default) in _FIELDS.items()},
    fixed={"beta_schedule": "scaled_linear", "clip_sample": False, "trained_betas": None, "set_alpha_to_one": True},
    inert=frozenset({"clip_sample_range", "sample_max_value", "steps_offset"}),  # of clipping, and of other spacings
)
_TIMESTEPS = 1000
_SAMPLERS = {"CogVideoXDDIMScheduler": "ddim", "CogVideoXDPMScheduler": "dpm"}


def config_from_torch(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values of our ``scheduler/config.json``, key ``kind`` is ``"scheduler"``.

    Raises:
      UserError: a value that our samplers do not implement (named in the message).
    """
    name = values.get("_class_name", "CogVideoXDDIMScheduler")
    if not isinstance(name, str) or name not in _SAMPLERS:
        raise UserError(f"scheduler {show(repr(name))[:60]}: expected one of {', '.join(_SAMPLERS)}")
    described = SCHEDULER_FIELDS.read(SchedulerConfig, {**_DEFAULTS, **values}, sampler=_SAMPLERS[name])
    if described.num_timesteps != _TIMESTEPS:
        raise UserError(f"scheduler config num_train_timesteps = {described.num_timesteps}: expected {_TIMESTEPS}")
    return config.to_json(described)


def config_to_torch(values: dict[str, Any]) -> dict[str, Any]:
    """Inverse of `config_from_torch`; values that training wrote, without names of sampler and prediction, too.

    Raises:
      UserError: not the values of a scheduler.
    """
    described = config.from_json(values)
    if not isinstance(described, SchedulerConfig):
        raise UserError(f"a description of kind {values.get('kind')!r}: expected a scheduler")
    name = next(name for name, sampler in _SAMPLERS.items() if sampler == described.sampler)
    return {"_class_name": name, **SCHEDULER_FIELDS.write(described)}
