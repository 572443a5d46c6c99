"""LPIPS of a clip on each region: distance of deep features, mean over frames (`vp_jax.models.metrics.lpips`).

On a region, both pictures are black elsewhere; the mean still runs over the complete frame, so the value of a small
region is small. Frames without the region are left out.
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
from vp_jax.eval.reference import PREFIX, released_original, truncated, without_hole
from vp_jax.eval.regions import REGIONS, WHOLE, region, score_name
from vp_jax.eval.score import ClipFacts, MakeGauge, Networks, Value
from vp_jax.eval.weights import LoadedNetwork

_AT_ONCE = 2
"""Frames that go through the network at once: VGG's first features take 88 MB for one of 480 x 720."""


@functools.partial(jax.jit, static_argnums=(0, 2))
def lpips_frames(
    graph: nnx.GraphDef[Any],
    params: trees.Tree,
    name: str,
    result_FHWC: jax.Array,
    truth_FHWC: jax.Array,
    holes_FHW: jax.Array,
) -> jax.Array:
    """Distance of every frame on a region, NaN where a frame has none; (F,)."""
    a_FHWC, b_FHWC = as_float(result_FHWC), as_float(truth_FHWC)
    area_FHW = region(holes_FHW, name)
    if name != WHOLE:
        a_FHWC, b_FHWC = (jnp.where(area_FHW[..., None], x_FHWC, 0) for x_FHWC in (a_FHWC, b_FHWC))
    distance_F = nnx.merge(graph, params)(a_FHWC, b_FHWC)
    return jnp.where(area_FHW.any((1, 2)), distance_F, jnp.nan)


def frames_apart(network: LoadedNetwork, name: str, *arrays: np.ndarray) -> np.ndarray:
    """`lpips_frames` of any number of frames."""
    program = functools.partial(lpips_frames, network.graph, network.params, name)
    distances_F: np.ndarray = by_blocks(program, *arrays, size=_AT_ONCE)
    return distances_F


class LpipsGauge:
    """LPIPS of one network on the regions that the wanted scores are about."""

    def __init__(self, names: Collection[str], weights: str, networks: Networks) -> None:
        self._regions = tuple(name for name in REGIONS if score_name(weights, name) in names)
        self._weights, self._network = weights, networks[weights]
        self._sums, self._frames = np.zeros(len(self._regions)), np.zeros(len(self._regions))

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        for number, name in enumerate(self._regions):
            distances_F = frames_apart(self._network, name, result_FHWC, truth_FHWC, holes_FHW)
            self._sums[number] += np.nansum(distances_F)
            self._frames[number] += (~np.isnan(distances_F)).sum()

    def values(self) -> dict[str, Value]:
        """LPIPS of each region."""
        return {
            score_name(self._weights, name): float(total / count) if count else math.nan
            for name, total, count in zip(self._regions, self._sums, self._frames)
        }


@functools.cache
def lpips_gauge(weights: str) -> MakeGauge:
    """Makes gauges for the scores of these weights; one function per name, so that scores share a gauge."""

    def make(names: Collection[str], clip: ClipFacts, networks: Networks) -> LpipsGauge:
        return LpipsGauge(names, weights, networks)

    return make


class ReferenceLpipsGauge:
    """The released columns ``LPIPS`` and ``Masked_LPIPS``: SqueezeNet, and a result with a black hole."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network = networks["lpips_squeeze"]
        self._distances: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        result_FHWC, truth_FHWC = truncated(result_FHWC), released_original(truth_FHWC)
        for name, parts in self._distances.items():
            seen_FHWC = result_FHWC if name == f"{PREFIX}lpips" else without_hole(result_FHWC, holes_FHW)
            parts.append(frames_apart(self._network, WHOLE, seen_FHWC, truth_FHWC, holes_FHW))

    def values(self) -> dict[str, Value]:
        """Means over the frames so far."""
        return {
            name: float(np.concatenate(parts).mean()) if parts else math.nan for name, parts in self._distances.items()
        }
