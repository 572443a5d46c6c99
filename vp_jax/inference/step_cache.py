"""The step cache of a model: its file, and the steps that settings reuse.

    FOLDER/step_cache.json      beside transformer/ and branch/, written by ``vp-jax calibrate``

It holds one number for each pair of steps, see `vp_jax.diffusion.reuse`, and serves every number of steps.
"""

from __future__ import annotations

import json
from pathlib import Path

from vp_jax.diffusion.reuse import Budget, Drift, reused_steps
from vp_jax.diffusion.schedule import Schedule
from vp_jax.diffusion.steps import SAMPLERS
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.inference.settings import Settings
from vp_jax.reading import read_json, show

STEP_CACHE_FILE = "step_cache.json"


def read_drift(folder: Path) -> Drift | None:
    """The drift in a checkpoint folder; ``None`` if it has none.

    Raises:
      UserError: the file is not what `write_drift` writes.
    """
    path = folder / STEP_CACHE_FILE
    if not path.is_file():
        return None
    try:
        return Drift.of_json(read_json(path, "the step cache of a model"))
    except UserError as error:
        raise UserError(f"{show(path)}: {error}") from error


def write_drift(path: Path, drift: Drift) -> None:
    """Write a file that `read_drift` reads. Raises `UserError` if it cannot be written."""
    write_text(path, json.dumps(drift.as_json()) + "\n")


def reused_by(drift: Drift | None, schedule: Schedule, settings: Settings) -> tuple[int, ...]:
    """Steps that reuse the estimate of an earlier one; none without a step cache.

    Raises:
      UserError: the settings ask for one, and the model has no drift.
    """
    if settings.step_cache is None:
        return ()
    if drift is None:
        raise UserError(
            f"step_cache {settings.step_cache}: this model has no {STEP_CACHE_FILE}, expected one that `vp-jax "
            f"calibrate` measured"
        )
    timesteps = SAMPLERS[settings.sampler].table(schedule, settings.steps).timestep
    return reused_steps(drift, timesteps, Budget.parse(settings.step_cache), settings.first_guided)
