"""A dry run: everything that a run does, once, in a folder that is removed, so that a mistake costs a minute."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

from ml_collections import ConfigDict

from vp_jax.errors import UserError
from vp_jax.runs import multihost
from vp_jax.runs.train import train

SAMPLER_STEPS = 2
"""Steps of the sampler in the validation of a dry run: enough for all of its programs and all of its memory."""


def try_run(config: ConfigDict, workdir: Path) -> int:
    """Open the data, take a batch, do a step, validate, save a checkpoint, and stop; the run's own folder is not used.

    Args:
      config: settings of the run.
      workdir: of the run; the dry run has the folder ``WORKDIR.dry_run``, which is removed if all went well.

    Returns:
      Exit status, see `vp_jax.runs.train.train`.

    Raises:
      UserError: what the run would raise, or a folder that is in the way.
    """
    folder = workdir.with_name(f"{workdir.name}.dry_run")
    if folder.exists():
        raise UserError(f"{folder} is there already, perhaps from a dry run that failed: remove it first")
    status = train(shortened(config), folder, export=False)
    multihost.barrier("dry run ends")
    if status == 0 and multihost.is_chief():
        shutil.rmtree(folder)
        multihost.print_once(f"dry run: data, batch, step, validation and checkpoint are fine; {folder} is removed")
    return status


def shortened(config: ConfigDict) -> ConfigDict:
    """Settings of a run of one step that logs, validates and saves it; a run without validation stays without."""
    short = copy.deepcopy(config)
    with short.unlocked():
        short.steps, short.log_every, short.boards = 1, 1, ""
        short.checkpoints.every = 1
        if short.validation.every:
            short.validation.update(every=1, loss_every=1, steps=min(short.validation.steps, SAMPLER_STEPS))
    return short
