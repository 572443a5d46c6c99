"""CLIP scores: similarity of frames and captions, and of consecutive frames (`vp_jax.models.metrics.clip`).

    similarity     max(100 cos(picture, caption), 0), mean over frames
    consistency    cos(picture_f, picture_f+1), mean over frames

The complete frame is seen, its sides kept, in the middle of a square; the hole is seen alone and enlarged: around its
bounding box, other pixels in the mean colour. Captions are cut before their end token. Whole frames are compared with
the caption, holes with the caption of their object; without a caption there is no value.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.eval.blocks import as_float, by_blocks
from vp_jax.eval.regions import HOLE, WHOLE, score_name
from vp_jax.eval.score import ClipFacts, MakeGauge, Networks, Value
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.channels import normalised
from vp_jax.models.metrics.clip import CLIP_MEAN, CLIP_STD, ClipConfig

CONSISTENCY = "temporal_consistency"


def bounding_box(hole_HW: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Top, left, height, width of the pixels of a hole; meaningless for an empty one."""
    rows_H, columns_W = hole_HW.any(1), hole_HW.any(0)
    top, left = rows_H.argmax(), columns_W.argmax()
    bottom, right = len(rows_H) - rows_H[::-1].argmax(), len(columns_W) - columns_W[::-1].argmax()
    return top, left, bottom - top, right - left


@functools.partial(jax.jit, static_argnames="side")
def squared(picture_HWC: jax.Array, hole_HW: jax.Array | None, side: int) -> jax.Array:
    """Normalised picture in a square: the complete frame, or the hole around its bounding box; 0 elsewhere."""
    x_HWC = normalised(as_float(picture_HWC), CLIP_MEAN, CLIP_STD)
    top, left, height, width = 0, 0, *x_HWC.shape[:2]
    if hole_HW is not None:
        x_HWC = jnp.where(hole_HW[..., None], x_HWC, 0)
        top, left, height, width = bounding_box(hole_HW)
    scale = side / jnp.maximum(jnp.maximum(height, width), 1)
    shift = jnp.stack([(side - height * scale) / 2 - top * scale, (side - width * scale) / 2 - left * scale])
    picture: jax.Array = jax.image.scale_and_translate(
        x_HWC, (side, side, 3), (0, 1), jnp.stack([scale, scale]), shift, "cubic", antialias=True
    )
    return picture


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def picture_embeddings(
    graph: nnx.GraphDef[Any],
    params: trees.Tree,
    name: str,
    cfg: ClipConfig,
    frames_FHWC: jax.Array,
    holes_FHW: jax.Array,
) -> jax.Array:
    """Unit embeddings (F, E) of frames, NaN for a hole that is empty."""
    if name == WHOLE:
        squares = jax.vmap(lambda frame: squared(frame, None, cfg.image))(frames_FHWC)
        seen_F = jnp.ones(len(frames_FHWC), bool)
    else:
        squares = jax.vmap(lambda frame, hole: squared(frame, hole, cfg.image))(frames_FHWC, holes_FHW)
        seen_F = holes_FHW.any((1, 2))
    embeddings_FE = nnx.merge(graph, params).picture(squares)
    embeddings_FE /= jnp.linalg.norm(embeddings_FE, axis=-1, keepdims=True)
    return jnp.where(seen_F[:, None], embeddings_FE, jnp.nan)


@functools.partial(jax.jit, static_argnums=0)
def text_embeddings(graph: nnx.GraphDef[Any], params: trees.Tree, ids_BM: jax.Array, ends_B: jax.Array) -> jax.Array:
    """Unit embeddings (B, E) of texts."""
    embeddings_BE = nnx.merge(graph, params).text(ids_BM, ends_B)
    unit_BE: jax.Array = embeddings_BE / jnp.linalg.norm(embeddings_BE, axis=-1, keepdims=True)
    return unit_BE


def caption_embedding(network: LoadedNetwork, caption: str) -> np.ndarray | None:
    """Unit embedding (E,) of a caption, cut before its end token if it is too long; ``None`` for an empty caption."""
    if not caption.strip():
        return None
    assert network.tokenizer is not None and isinstance(network.description, ClipConfig)
    encoded = network.tokenizer.encode([caption], network.description.context)
    return np.asarray(text_embeddings(network.graph, network.params, encoded.ids_BM, encoded.ends_B)[0])


class TextGauge:
    """Similarity and consistency of one CLIP model, of whole frames and holes."""

    def __init__(self, names: Collection[str], weights: str, clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks[weights]
        self._columns: list[tuple[str, str, np.ndarray | None]] = []
        for name, caption in ((WHOLE, clip.caption), (HOLE, clip.object_caption)):
            if score_name(weights, name) in names:
                self._columns.append((score_name(weights, name), name, caption_embedding(self._network, caption)))
            if score_name(CONSISTENCY, name) in names:
                self._columns.append((score_name(CONSISTENCY, name), name, None))
        self._found: dict[str, list[float]] = {column: [] for column, _, _ in self._columns}
        self._before: dict[str, np.ndarray] = {}

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        network = self._network
        for name in dict.fromkeys(name for _, name, _ in self._columns):
            program = functools.partial(picture_embeddings, network.graph, network.params, name, network.description)
            pictures_FE = by_blocks(program, result_FHWC, holes_FHW)
            for column, place, caption_E in self._columns:
                if place == name:
                    self._found[column] += self._values(column, pictures_FE, caption_E)
            self._before[name] = pictures_FE[-1]

    def _values(self, column: str, pictures_FE: np.ndarray, caption_E: np.ndarray | None) -> list[float]:
        """Values of the new frames; NaN without a caption, or where a hole is empty."""
        if column.startswith(CONSISTENCY):
            name = HOLE if column.endswith(HOLE) else WHOLE
            before_FE = np.vstack([*([self._before[name][None]] if name in self._before else []), pictures_FE])
            return [float(value) for value in (before_FE[1:] * before_FE[:-1]).sum(-1)]
        if caption_E is None:
            return []
        return [float(value) for value in np.maximum(100 * pictures_FE @ caption_E, 0)]

    def values(self) -> dict[str, Value]:
        """Mean over frames of each wanted score."""
        kept = {column: [v for v in values if not math.isnan(v)] for column, values in self._found.items()}
        return {column: float(np.mean(values)) if values else math.nan for column, values in kept.items()}


@functools.cache
def text_gauge(weights: str) -> MakeGauge:
    """Makes gauges for the scores of these weights; one function per name, so that scores share a gauge."""

    def make(names: Collection[str], clip: ClipFacts, networks: Networks) -> TextGauge:
        return TextGauge(names, weights, clip, networks)

    return make
