"""What a run trained, written as a part of a converted checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from vp_jax import checkpoint, trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.files import fresh_folder, replace_parts
from vp_jax.models import config
from vp_jax.models.folder import Description
from vp_jax.runs import multihost
from vp_jax.training.models import TrainingModels

PLAIN = {"dtype": "float32", "param_dtype": "float32", "attention": "xla", "remat": ""}
"""Fields of a description that say how a run computed, which is no property of the model."""


def export_models(
    folder: Path,
    models: TrainingModels,
    trainable: trees.Tree,
    frozen: trees.Tree,
    batches: Iterable[PixelBatch | LatentBatch],
) -> Path:
    """Write the trained models of a stage: ``folder/branch``, ``folder/vae`` ..., with all that belongs to them.

    All of it is written elsewhere first: a ``folder`` that is there is complete. Parts of the same name are replaced,
    others stay.

    Args:
      folder: where a checkpoint's parts go.
      models: of the run.
      trainable: weights that its stage trains.
      frozen: weights that it does not.
      batches: on the devices, which no step has seen: some stages measure numbers of their descriptions on them.

    Returns:
      ``folder``.
    """
    new = folder.with_name(f".{folder.name}.vp_jax-new")
    if multihost.is_chief():
        fresh_folder(new)
    multihost.barrier("export begins")
    stage = models.stage.calibrated(trainable, batches)
    for name, (description, tree) in stage.exports(trainable, frozen).items():
        checkpoint.save_params(new / name, trees.cast(tree, jnp.float32), plain_description(description))
    if multihost.is_chief():
        stage.write_extras(new, models.schedule)
    multihost.barrier("export written")
    if multihost.is_chief():
        replace_parts(new, folder)
    return folder


def plain_description(description: Description) -> dict[str, Any]:
    """JSON values of a description without how the run computed, see `PLAIN`."""
    values = config.to_json(description)
    fields = values.get("dit", values)
    fields.update({name: value for name, value in PLAIN.items() if name in fields})
    return values
