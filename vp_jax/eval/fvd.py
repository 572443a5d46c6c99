"""Frechet video distance: features of I3D (`vp_jax.models.metrics.i3d`), one number for a set of clips.

The value of a clip is a pair of features, of truth and result, (2, 1024); the average over clips is the distance of the
two sets (`vp_jax.eval.frechet`). A clip is cut into parts of `PART` frames; each is resized to 224 x 224, scaled to
[-1, 1] as I3D was trained, and seen with the stored statistics; its features are averaged over the parts. A rest of
less than `PART` frames is left out unless there is nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.eval.blocks import as_float
from vp_jax.eval.frechet import frechet_distance, released_frechet_distance
from vp_jax.eval.reference import released_original, truncated
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.weights import LoadedNetwork

PART, SIDE, FEATURES, LEAST = 16, 224, 1024, 9
"""Frames of a part; its side in pixels; features; frames that I3D needs at least."""


@functools.partial(jax.jit, static_argnums=0)
def part_features(graph: nnx.GraphDef[Any], params: trees.Tree, frames_FHWC: jax.Array) -> jax.Array:
    """Features (1024,) of one part."""
    F, _, _, C = frames_FHWC.shape
    small = jax.image.resize(as_float(frames_FHWC), (F, SIDE, SIDE, C), "linear", antialias=True)
    features_E: jax.Array = nnx.merge(graph, params)(2 * small[None] - 1)[0]
    return features_E


@functools.partial(jax.jit, static_argnums=0)
def released_features(graph: nnx.GraphDef[Any], params: trees.Tree, frames_FHWC: jax.Array) -> jax.Array:
    """Features (1024,) as released: the complete clip at its size, in [0, 1], normalised by its own statistics."""
    features_E: jax.Array = nnx.merge(graph, params)(as_float(frames_FHWC)[None], own_statistics=True)[0]
    return features_E


class FvdGauge:
    """Features of a clip, part by part."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks["i3d"]
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._sums, self._parts = np.zeros((2, FEATURES)), 0

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        self._waiting += zip(truth_FHWC, result_FHWC)
        while len(self._waiting) >= PART:
            self._sums += self._features(self._waiting[:PART])
            self._waiting, self._parts = self._waiting[PART:], self._parts + 1

    def _features(self, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        network = self._network
        # each with its own type: uint8 levels and values in [0, 1] do not stack
        both = (np.stack([pair[which] for pair in pairs]) for which in (0, 1))
        return np.stack([part_features(network.graph, network.params, frames) for frames in both])

    def values(self) -> dict[str, Value]:
        """Features of truth and result; NaN for a clip of less than `LEAST` frames."""
        if self._parts:
            return {"fvd": self._sums / self._parts}
        if len(self._waiting) < LEAST:
            return {"fvd": np.full((2, FEATURES), np.nan)}
        return {"fvd": self._features(self._waiting)}


class ReferenceFvdGauge:
    """Features of the released ``FID_Score``. Keeps the complete clip: its statistics are those of all frames."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks["i3d"]
        self._frames: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        self._frames[0].append(released_original(truth_FHWC))
        self._frames[1].append(truncated(result_FHWC))

    def values(self) -> dict[str, Value]:
        """Features of original and result; NaN for a clip of less than `LEAST` frames."""
        if sum(map(len, self._frames[0])) < LEAST:
            return {"reference_fvd": np.full((2, FEATURES), np.nan)}
        network = self._network
        both = (np.concatenate(parts) for parts in self._frames)
        return {
            "reference_fvd": np.stack([released_features(network.graph, network.params, frames) for frames in both])
        }


def _sets(values: Sequence[Value]) -> tuple[np.ndarray, np.ndarray]:
    kept = [np.asarray(value) for value in values if not np.isnan(value).any()]
    pairs = np.stack(kept) if kept else np.zeros((0, 2, FEATURES))
    return pairs[:, 0], pairs[:, 1]


def distance_of_clips(values: Sequence[Value], frames: Sequence[int]) -> float:
    """Frechet distance of truths and results; NaN for fewer than two clips."""
    return frechet_distance(*_sets(values))


def released_distance(values: Sequence[Value], frames: Sequence[int]) -> float:
    """The same by the released program's arithmetic."""
    return released_frechet_distance(*_sets(values))
