"""Descriptions of the networks that scores need, and the modules that they describe.

A description is a frozen dataclass; its ``kind`` and fields are the ``config.json`` of a model folder.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, get_args

from flax import nnx

from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.models.metrics.clip import ClipConfig, ClipModel
from vp_jax.models.metrics.dino import DinoConfig, DINOv2
from vp_jax.models.metrics.i3d import I3D, I3DConfig
from vp_jax.models.metrics.lpips import LPIPS, LpipsConfig
from vp_jax.models.metrics.raft import RAFT, RaftConfig
from vp_jax.models.metrics.videomae import VideoMAE, VideoMaeConfig

MetricConfig = LpipsConfig | ClipConfig | I3DConfig | RaftConfig | DinoConfig | VideoMaeConfig

METRIC_KINDS: dict[str, type[Any]] = {cls.kind: cls for cls in get_args(MetricConfig)}
"""Classes of descriptions by the ``kind`` in their ``config.json``."""


def build_metric(description: MetricConfig, rngs: nnx.Rngs) -> nnx.Module:
    """The network of a description, freshly initialised."""
    match description:
        case LpipsConfig():
            return LPIPS(description, rngs=rngs)
        case ClipConfig():
            return ClipModel(description, rngs=rngs)
        case I3DConfig():
            return I3D(description, rngs=rngs)
        case RaftConfig():
            return RAFT(description, rngs=rngs)
        case DinoConfig():
            return DINOv2(description, rngs=rngs)
        case VideoMaeConfig():
            return VideoMAE(description, rngs=rngs)


@functools.lru_cache(maxsize=16)
def abstract_metric(description: MetricConfig) -> tuple[nnx.GraphDef[Any], trees.Tree]:
    """Graph definition of a network and the shapes of its weights, nothing allocated. Do not change the dict."""
    return trees.abstract(lambda: build_metric(description, nnx.Rngs(0)))


def metric_to_json(description: MetricConfig) -> dict[str, Any]:
    """The ``config.json`` of a description."""
    return {"kind": description.kind, **dataclasses.asdict(description)}


def metric_from_json(values: dict[str, Any]) -> MetricConfig:
    """Inverse of `metric_to_json`. Raises `UserError` for another kind, or fields that do not fit."""
    cls = METRIC_KINDS.get(str(values.get("kind")))
    if cls is None:
        raise UserError(f"kind {values.get('kind')!r}: expected one of {', '.join(METRIC_KINDS)}")
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    fields.pop("kind")
    names = {field.name for field in dataclasses.fields(cls)}
    if set(fields) != names:
        raise UserError(f"a {cls.kind} with the fields {sorted(fields)}: expected {sorted(names)}")
    result: MetricConfig = cls(**fields)
    return result
