"""Frechet distances of videos: one number for a set of clips, in features of I3D (FVD) or of VideoMAE.

The value of a clip is a pair of features, of truth and result, (2, E); the average over clips is the distance of the
two sets (`vp_jax.eval.frechet`). A clip is cut into parts, whose features are averaged; a rest of less than a part is
left out.

    fvd               I3D (`vp_jax.models.metrics.i3d`): parts of `PART` frames of 224 x 224, in [-1, 1] as it was
                      trained, seen with the stored statistics; a shorter clip is one part
    frechet_videomae  VideoMAE (`vp_jax.models.metrics.videomae`): parts of its frames at its size, normalised as it was
                      trained. The content-debiased FVD of Ge et al. 2024 (arXiv 2404.12391): these features see motion,
                      where those of I3D, trained to name actions, see single pictures
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
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
from vp_jax.models.metrics.channels import normalised
from vp_jax.models.metrics.videomae import VIDEOMAE_MEAN, VIDEOMAE_STD, VideoMaeConfig

PART, SIDE, FEATURES, LEAST = 16, 224, 1024, 9
"""Of I3D: frames of a part; its side in pixels; features; frames that it needs at least."""


@functools.partial(jax.jit, static_argnums=0)
def part_features(graph: nnx.GraphDef[Any], params: trees.Tree, frames_FHWC: jax.Array) -> jax.Array:
    """Features (1024,) of one part, by I3D."""
    F, _, _, C = frames_FHWC.shape
    small = jax.image.resize(as_float(frames_FHWC), (F, SIDE, SIDE, C), "linear", antialias=True)
    features_E: jax.Array = nnx.merge(graph, params)(2 * small[None] - 1)[0]
    return features_E


@functools.partial(jax.jit, static_argnums=0)
def released_features(graph: nnx.GraphDef[Any], params: trees.Tree, frames_FHWC: jax.Array) -> jax.Array:
    """Features (1024,) as released: the complete clip at its size, in [0, 1], normalised by its own statistics."""
    features_E: jax.Array = nnx.merge(graph, params)(as_float(frames_FHWC)[None], own_statistics=True)[0]
    return features_E


@functools.partial(jax.jit, static_argnums=(0, 2))
def videomae_features(
    graph: nnx.GraphDef[Any], params: trees.Tree, cfg: VideoMaeConfig, frames_FHWC: jax.Array
) -> jax.Array:
    """Features (D,) of one part of as many frames as the model takes."""
    F, _, _, C = frames_FHWC.shape
    small = jax.image.resize(as_float(frames_FHWC), (F, cfg.image, cfg.image, C), "linear", antialias=True)
    features_D: jax.Array = nnx.merge(graph, params)(normalised(small, VIDEOMAE_MEAN, VIDEOMAE_STD)[None])[0]
    return features_D


class PartsGauge:
    """Features of a clip, part by part.

    Args:
      name: of the score.
      program: frames of a part -> features (E,).
      part: frames of a part.
      least: frames that a clip without a complete part needs, to be one part.
      features: E.
    """

    def __init__(self, name: str, program: Callable[[np.ndarray], Any], part: int, least: int, features: int) -> None:
        self._name, self._program, self._part, self._least = name, program, part, least
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._sums, self._parts = np.zeros((2, features)), 0

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        self._waiting += zip(truth_FHWC, result_FHWC)
        while len(self._waiting) >= self._part:
            self._sums += self._features(self._waiting[: self._part])
            self._waiting, self._parts = self._waiting[self._part :], self._parts + 1

    def _features(self, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        # each with its own type: uint8 levels and values in [0, 1] do not stack
        both = (np.stack([pair[which] for pair in pairs]) for which in (0, 1))
        return np.stack([self._program(frames_FHWC) for frames_FHWC in both])

    def values(self) -> dict[str, Value]:
        """Features of truth and result; NaN for a clip that is too short."""
        if self._parts:
            return {self._name: self._sums / self._parts}
        if len(self._waiting) < self._least:
            return {self._name: np.full_like(self._sums, np.nan)}
        return {self._name: self._features(self._waiting)}


def fvd_gauge(names: Collection[str], clip: ClipFacts, networks: Networks) -> PartsGauge:
    """The gauge of ``fvd``."""
    network: LoadedNetwork = networks["i3d"]
    program = functools.partial(part_features, network.graph, network.params)
    return PartsGauge("fvd", program, PART, LEAST, FEATURES)


def videomae_gauge(names: Collection[str], clip: ClipFacts, networks: Networks) -> PartsGauge:
    """The gauge of ``frechet_videomae``."""
    network: LoadedNetwork = networks["videomae"]
    cfg: Any = network.description
    program = functools.partial(videomae_features, network.graph, network.params, cfg)
    return PartsGauge("frechet_videomae", program, cfg.frames, cfg.frames, cfg.width)


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
    pairs = np.stack(kept) if kept else np.zeros((0, 2, 1))
    return pairs[:, 0], pairs[:, 1]


def distance_of_clips(values: Sequence[Value], frames: Sequence[int]) -> float:
    """Frechet distance of truths and results; NaN for fewer than two clips."""
    return frechet_distance(*_sets(values))


def released_distance(values: Sequence[Value], frames: Sequence[int]) -> float:
    """The same by the released program's arithmetic."""
    return released_frechet_distance(*_sets(values))
