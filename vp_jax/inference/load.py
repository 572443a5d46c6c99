"""A checkpoint folder as models with weights, for sampling."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import jax.numpy as jnp

from vp_jax import checkpoint, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.models import Models, Params
from vp_jax.models.attention import choose
from vp_jax.models.config import DiTConfig, LoRAConfig, T5Config
from vp_jax.models.folder import (
    AUTOENCODER,
    BACKBONE,
    BRANCH,
    ID_ADAPTER,
    TEXT_ENCODER,
    CheckpointFolder,
    read_description,
)
from vp_jax.models.silent_branch import silent_branch, silent_weights
from vp_jax.schema import check_number

PRECISIONS = ("bfloat16", "float32")


class Loaded(NamedTuple):
    """Fields of a `vp_jax.inference.pipeline.Pipeline`, see there."""

    models: Models
    params: Params
    schedule: Schedule
    text_encoder: tuple[T5Config, Path] | None
    folders: tuple[Path, ...]


def load_models(
    source: CheckpointFolder,
    *,
    precision: str,
    attention: str | None,
    id_adapter: bool,
    id_scale: float,
    loras: Sequence[tuple[Path, float]],
) -> Loaded:
    """Load what a checkpoint folder has; see `Pipeline.load` for the arguments.

    Raises:
      UserError: a missing, unconverted or unfitting part; an unknown precision or backend.
    """
    adapters = _adapters(source, id_adapter, id_scale, loras)
    models = describe_models(
        source, precision=precision, attention=attention, id_adapter=id_adapter, id_scale=id_scale, loras=loras
    )
    parts, shapes = (BACKBONE, BRANCH, AUTOENCODER), {name: like for name, (_, like) in models.abstract().items()}
    alone = _fills_alone(source, models.backbone_cfg)
    stored = [part for part in parts if not (alone and part is BRANCH)]
    weights = {part.name: checkpoint.load_params(source.of(part), shapes[part.name]) for part in stored}
    if alone:
        weights[BRANCH.name] = silent_weights(models.backbone_cfg, weights[BACKBONE.name])
    extra = [trees.cast(checkpoint.load_params(path), jnp.dtype(precision)) for path, _ in adapters]
    text_encoder = None
    if source.has(TEXT_ENCODER):
        text_encoder = source.describe(TEXT_ENCODER, dtype=precision, param_dtype=precision), source.path
    folders = (*(source.of(part) for part in stored), *(path for path, _ in adapters))
    return Loaded(models, cast(Params, {**weights, "loras": extra}), source.schedule(), text_encoder, folders)


def describe_models(
    source: CheckpointFolder,
    *,
    precision: str,
    attention: str | None,
    id_adapter: bool,
    id_scale: float,
    loras: Sequence[tuple[Path, float]],
) -> Models:
    """What `load_models` would load, without its weights: reads JSON only.

    Raises:
      UserError: as `load_models`.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision!r}: expected {' or '.join(PRECISIONS)}")
    check_number("id_scale", id_scale)
    for _, factor in loras:
        check_number("lora_scale", factor)
    adapters = _adapters(source, id_adapter, id_scale, loras)
    return _describe(source, precision, attention, [_adapter(path, factor) for path, factor in adapters])


def _adapters(
    source: CheckpointFolder, id_adapter: bool, id_scale: float, loras: Sequence[tuple[Path, float]]
) -> list[tuple[Path, float]]:
    """Folders of the adapters that are attached, with their scales."""
    own = [(source.of(ID_ADAPTER), id_scale)] if id_adapter and source.has(ID_ADAPTER) else []
    return [*own, *loras]


def _describe(source: CheckpointFolder, precision: str, attention: str | None, loras: list[LoRAConfig]) -> Models:
    types = {"dtype": precision, "param_dtype": precision}
    backbone = source.describe(BACKBONE, **types)
    backend = choose(attention, dtype=precision, head_dim=backbone.head_dim)
    if _fills_alone(source, backbone):
        branch = silent_branch(dataclasses.replace(backbone, attention=backend))
    else:
        branch = source.describe(BRANCH, **types, attention=backend)
    if branch.dit.dim != backbone.dim or backbone.patch_t:
        raise UserError(
            f"{source.of(BRANCH)} (width {branch.dit.dim}) was not made for the backbone beside it "
            f"(width {backbone.dim}): convert the pair that belongs together"
        )
    vae = source.describe(AUTOENCODER, **types)
    return Models(dataclasses.replace(backbone, attention=backend), branch, vae, tuple(loras))


def _fills_alone(source: CheckpointFolder, backbone: DiTConfig) -> bool:
    """No context encoder is read: training exported a backbone alone, or one that takes the condition itself."""
    return not source.has(BRANCH) and (backbone.takes_condition or source.samples_alone())


def _adapter(path: Path, factor: float) -> LoRAConfig:
    """An adapter's description; ``factor`` is the ID adapter's own scale, and multiplies that of others."""
    cfg = read_description(path, LoRAConfig)
    return dataclasses.replace(cfg, scale=factor if cfg.extra_keys else cfg.scale * factor)
