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
from vp_jax.models.folder import AUTOENCODER, BACKBONE, BRANCH, CheckpointFolder, Description, write_references
from vp_jax.runs import multihost
from vp_jax.training.models import TrainingModels
from vp_jax.training.stages.style_lora import STYLE_FOLDER

PLAIN = {"dtype": "float32", "param_dtype": "float32", "attention": "xla", "remat": "", "products": ""}
"""Fields of a description that say how a run computed, which is no property of the model."""


def export_models(
    folder: Path,
    models: TrainingModels,
    trainable: trees.Tree,
    frozen: trees.Tree,
    batches: Iterable[PixelBatch | LatentBatch],
    source: CheckpointFolder | None = None,
) -> Path:
    """Write the trained models of a stage: ``folder/branch``, ``folder/vae`` ..., with all that belongs to them.

    ``folder/parts.json`` says where the frozen models are, so that sampling reads the folder as a checkpoint. All of it
    is written elsewhere first: a ``folder`` that is there is complete. Parts of the same name are replaced, others
    stay.

    Args:
      folder: where a checkpoint's parts go.
      models: of the run.
      trainable: weights that its stage trains.
      frozen: weights that it does not.
      batches: on the devices, which no step has seen: some stages measure numbers of their descriptions on them.
      source: the checkpoint that the run took its frozen models from.

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
        found = {} if source is None else {name: source.place(name) for name in stage.companions}
        shared = {name: path for name, path in found.items() if path.is_dir()}
        write_references(folder if folder.exists() else new, shared, samples_alone=stage.samples_alone)
        replace_parts(new, folder)
    return folder


def what_lacks(folder: Path) -> str:
    """What sampling still needs beside an export, as the end of a line; empty if it needs nothing.

    Args:
      folder: written by `export_models`.
    """
    if (folder / STYLE_FOLDER).is_dir():
        return f"; sample with --lora {folder / STYLE_FOLDER} and the checkpoint that it was trained on"
    found = CheckpointFolder(folder)
    parts = [part for part in (BACKBONE, BRANCH, AUTOENCODER) if not found.has(part)]
    names = ", ".join(part.folder for part in parts if part is not BRANCH or not found.samples_alone())
    if not names:
        return ""
    return (
        f"; sampling also needs {names}, which this run had from no checkpoint: train them with "
        f"--config.model.checkpoint={folder}, or give this run the checkpoint that has them"
    )


def plain_description(description: Description) -> dict[str, Any]:
    """JSON values of a description without how the run computed, see `PLAIN`."""
    values = config.to_json(description)
    fields = values.get("dit", values)
    fields.update({name: value for name, value in PLAIN.items() if name in fields})
    return values
