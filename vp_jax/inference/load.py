"""A checkpoint folder as models with weights, for sampling."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp

from vp_jax import checkpoint, sharding, trees
from vp_jax.diffusion.reuse import Drift
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.conditioned import check_backbone
from vp_jax.inference.models import Models, Params
from vp_jax.inference.step_cache import read_drift
from vp_jax.models import lora
from vp_jax.models.attention import choose
from vp_jax.models.config import WEIGHT_FORMS, BranchConfig, DiTConfig, LoRAConfig, T5Config
from vp_jax.models.folder import (
    AUTOENCODER,
    BACKBONE,
    BRANCH,
    ID_ADAPTER,
    TEXT_ENCODER,
    CheckpointFolder,
    read_description,
)
from vp_jax.models.inpaint_channels import inpaint_kind
from vp_jax.models.int8 import quantise
from vp_jax.models.silent_branch import silent_branch, silent_weights
from vp_jax.schema import check_number
from vp_jax.sharding import mesh_of

PRECISIONS = ("bfloat16", "float32")


class Loaded(NamedTuple):
    """Fields of a `vp_jax.inference.pipeline.Pipeline`, see there."""

    models: Models
    params: Params
    schedule: Schedule
    text_encoder: tuple[T5Config, Path] | None
    folders: tuple[Path, ...]
    drift: Drift | None


def load_models(
    source: CheckpointFolder,
    *,
    precision: str,
    attention: str | None,
    id_adapter: bool,
    id_scale: float,
    loras: Sequence[tuple[Path, float]],
    mesh: str | None = None,
    weights: str | None = None,
) -> Loaded:
    """Load what a checkpoint folder has; see `Pipeline.load` for the arguments.

    Raises:
      UserError: a missing, unconverted or unfitting part; an unknown precision or backend.
    """
    adapters = _adapters(source, id_adapter, id_scale, loras)
    models = describe_models(
        source,
        precision=precision,
        attention=attention,
        id_adapter=id_adapter,
        id_scale=id_scale,
        loras=loras,
        weights=weights,
    )
    exact = _in_form(models, "")
    alone = models.branch_cfg is None or _fills_alone(source, models.backbone_cfg)
    stored = [part for part in (BACKBONE, BRANCH, AUTOENCODER) if not (alone and part is BRANCH)]
    shapes: dict[str, Any] = {name: like for name, (_, like) in exact.abstract().items()}
    devices = mesh_of(mesh) if mesh else None
    if weights:  # in two bytes they may not fit the device
        host = jax.sharding.SingleDeviceSharding(jax.local_devices(backend="cpu")[0])
        shapes = sharding.shapes_at(shapes, jax.tree.map(lambda _: host, shapes))
    elif devices is not None:  # every device reads its own part
        shapes = sharding.placed(shapes, devices)
    params = {part.name: checkpoint.load_params(source.of(part), shapes[part.name]) for part in stored}
    extra = [trees.cast(checkpoint.load_params(path), jnp.dtype(precision)) for path, _ in adapters]
    if alone and models.branch_cfg is not None:
        params[BRANCH.name] = silent_weights(exact.backbone_cfg, params[BACKBONE.name])
    if weights == "int8":
        params, extra = _quantised(models, params, jax.device_put(extra, host)), []
    else:
        params[BACKBONE.name], extra = _styled(models, params[BACKBONE.name], extra)
    complete = {**params, "loras": extra}
    if devices is not None or weights:
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        where = jax.tree.map(lambda _: device, complete)
        if devices is not None:
            where = sharding.place(complete, devices).shardings
        if weights == "host":
            where[BACKBONE.name] = sharding.blocks_in_host_memory(where[BACKBONE.name])
        complete = jax.device_put(complete, where)
    folders = (*(source.of(part) for part in stored), *(path for path, _ in adapters))
    encoder = describe_encoder(source, precision)
    drift = read_drift(source.path)
    return Loaded(models, cast(Params, complete), source.schedule(), encoder, folders, drift)


def _in_form(models: Models, weights: str) -> Models:
    """``models`` with the matrices of blocks in another form, see `vp_jax.models.config.WEIGHT_FORMS`."""
    if models.backbone_cfg.weights == weights:
        return models
    branch = models.branch_cfg
    if branch is not None and weights != "host":  # it is small: it never waits in the host's memory
        branch = BranchConfig(dataclasses.replace(branch.dit, weights=weights))
    return Models(dataclasses.replace(models.backbone_cfg, weights=weights), branch, models.vae_cfg, models.loras)


def _styled(models: Models, backbone: trees.Tree, extra: list[trees.Tree]) -> tuple[trees.Tree, list[trees.Tree]]:
    """The backbone with style adapters merged, which cost nothing then, and the adapters that stay attached.

    The ID adapter stays, and whatever stands before it: of `Models.loras` the first ones are attached.
    """
    kept = max((number for number, cfg in enumerate(models.loras, 1) if cfg.extra_keys), default=0)
    styles = list(zip(models.loras, extra))[kept:]
    return (lora.merge(backbone, styles) if styles else backbone), extra[:kept]


def _quantised(models: Models, params: dict[str, Any], loras: list[trees.Tree]) -> dict[str, Any]:
    """Backbone and context encoder in 8 bits, adapters merged: none are attached then."""
    like = {name: shapes for name, (_, shapes) in models.abstract().items()}
    merged = lora.merge(params[BACKBONE.name], list(zip(models.loras, loras)))
    changed = {BACKBONE.name: quantise(merged, like[BACKBONE.name])}
    if models.branch_cfg is not None:
        changed[BRANCH.name] = quantise(params[BRANCH.name], like[BRANCH.name])
    return {**params, **changed}


def describe_models(
    source: CheckpointFolder,
    *,
    precision: str,
    attention: str | None,
    id_adapter: bool,
    id_scale: float,
    loras: Sequence[tuple[Path, float]],
    mesh: str | None = None,
    weights: str | None = None,
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
    if mesh:
        mesh_of(mesh)
    if weights not in (None, *WEIGHT_FORMS):
        raise UserError(f"weights {weights!r}: expected {' or '.join(WEIGHT_FORMS)}, or none for those of `precision`")
    adapters = [_adapter(path, factor) for path, factor in _adapters(source, id_adapter, id_scale, loras)]
    return _in_form(_describe(source, precision, attention, adapters), weights or "")


def describe_encoder(source: CheckpointFolder, precision: str) -> tuple[T5Config, Path] | None:
    """The text encoder and the folder it is in; ``None``: the checkpoint has none."""
    if not source.has(TEXT_ENCODER):
        return None
    return source.describe(TEXT_ENCODER, dtype=precision, param_dtype=precision), source.path


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
    id_adapter = any(cfg.extra_keys for cfg in loras)
    if backend == "cudnn" and not attention and id_adapter:
        _say_that_it_may_hang()
    if (kind := inpaint_kind(backbone)) and not source.has(BRANCH):
        check_backbone(kind, backbone, source.of(BACKBONE), id_adapter=id_adapter)
        vae = source.describe(AUTOENCODER, **types)
        return Models(dataclasses.replace(backbone, attention=backend), None, vae, tuple(loras))
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


@functools.cache
def _say_that_it_may_hang() -> None:
    """Once in a program, and by the first of several processes."""
    if jax.process_index() == 0:
        print(
            "attention 'cudnn' with an ID adapter has never finished a step on a card (docs/performance.md, On a GPU): "
            "if nothing moves for minutes, use --attention chunked or --id_adapter off"
        )


def _fills_alone(source: CheckpointFolder, backbone: DiTConfig) -> bool:
    """No context encoder is read: training exported a backbone alone, or one that takes the condition itself."""
    return not source.has(BRANCH) and (backbone.takes_condition or source.samples_alone())


def _adapter(path: Path, factor: float) -> LoRAConfig:
    """An adapter's description; ``factor`` is the ID adapter's own scale, and multiplies that of others."""
    cfg = read_description(path, LoRAConfig)
    return dataclasses.replace(cfg, scale=factor if cfg.extra_keys else cfg.scale * factor)
