"""Coherence of a removal, without a truth: does the filled hole look like its surroundings, and like itself over time?

After the spatial and temporal removal coherence of PROVE (arXiv 2605.14534), whose text gives the idea, not every
constant: values here are comparable with each other, not with its tables.

    MMD(A, B)         = sqrt(mean k(a, a') + mean k(b, b') - 2 mean k(a, b)),  k(x, y) = exp(-|x - y|^2 / (2 s^2))
    removal_spatial   = 1 - mean over windows of MMD(patches of the hole, patches of the background)
    removal_temporal  = mean over frames of MMD(patches of the hole in f, patches of the hole in f + 1)

Patches are DINOv2's features, of unit length, of a square around the hole of twice the size of its bounding box. A
window is `WINDOW` x `WINDOW` patches, every `STEP`; it counts if hole and background have `LEAST_PATCHES` in it. Blur
does not pass for background: it has features of its own.
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
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.text import bounding_box
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.channels import normalised
from vp_jax.models.metrics.dino import DINO_MEAN, DINO_STD, DinoConfig

WINDOW, STEP, LEAST_PATCHES = 9, 4, 8
_BANDWIDTH = 0.5


def kernel_distance(a_ND: jax.Array, in_a_N: jax.Array, b_ND: jax.Array, in_b_N: jax.Array) -> jax.Array:
    """MMD of two sets of features of unit length, those rows that ``in_a_N`` and ``in_b_N`` mark; >= 0."""

    def mean(x_ND: jax.Array, in_x_N: jax.Array, y_ND: jax.Array, in_y_N: jax.Array) -> jax.Array:
        kernel_NN = jnp.exp((x_ND @ y_ND.T - 1) / _BANDWIDTH**2)
        pairs_NN = in_x_N[:, None] & in_y_N[None, :]
        return jnp.where(pairs_NN, kernel_NN, 0).sum() / jnp.maximum(pairs_NN.sum(), 1)

    same = mean(a_ND, in_a_N, a_ND, in_a_N) + mean(b_ND, in_b_N, b_ND, in_b_N)
    return jnp.sqrt(jnp.maximum(same - 2 * mean(a_ND, in_a_N, b_ND, in_b_N), 0))


@functools.partial(jax.jit, static_argnums=2)
def around_hole(frame_HWC: jax.Array, hole_HW: jax.Array, cfg: DinoConfig) -> tuple[jax.Array, jax.Array]:
    """Normalised square around a hole, of twice its size but within the frame, and its patches that are hole."""
    H, W = hole_HW.shape
    top, left, height, width = bounding_box(hole_HW)
    side = jnp.clip(2 * jnp.maximum(height, width), 1, min(H, W))
    top = jnp.clip(top + height // 2 - side // 2, 0, H - side)
    left = jnp.clip(left + width // 2 - side // 2, 0, W - side)
    scale = cfg.image / side
    shift = -jnp.stack([top, left]) * scale
    x_HWC = normalised(as_float(frame_HWC), DINO_MEAN, DINO_STD)
    place = ((0, 1), jnp.stack([scale, scale]), shift)
    square = jax.image.scale_and_translate(x_HWC, (cfg.image, cfg.image, 3), *place, "cubic", antialias=True)
    cells = cfg.image // cfg.patch
    small = ((0, 1), jnp.stack([scale, scale]) / cfg.patch, shift / cfg.patch)
    share = jax.image.scale_and_translate(hole_HW.astype(jnp.float32), (cells, cells), *small, "linear", antialias=True)
    return square, share >= 0.5


def spatial_of_frame(features_hwD: jax.Array, hole_hw: jax.Array) -> jax.Array:
    """1 - mean MMD over the windows of a frame; NaN without a window."""
    h, w, D = features_hwD.shape
    side = min(WINDOW, h)
    corners = [(row, column) for row in range(0, h - side + 1, STEP) for column in range(0, w - side + 1, STEP)]

    def window(corner_2: jax.Array) -> jax.Array:
        part = jax.lax.dynamic_slice(features_hwD, (*corner_2, 0), (side, side, D)).reshape(-1, D)
        inside = jax.lax.dynamic_slice(hole_hw, tuple(corner_2), (side, side)).reshape(-1)
        counts = jnp.minimum(inside.sum(), (~inside).sum())
        return jnp.where(counts >= LEAST_PATCHES, kernel_distance(part, inside, part, ~inside), jnp.nan)

    return 1 - jnp.nanmean(jax.lax.map(window, jnp.array(corners)))


@functools.partial(jax.jit, static_argnums=(0, 2))
def removal_features(
    graph: nnx.GraphDef[Any], params: trees.Tree, cfg: DinoConfig, frames_FHWC: jax.Array, holes_FHW: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Unit features of the patches around each hole, patches that are hole, spatial coherence of each frame."""
    squares, cells = jax.vmap(lambda frame, hole: around_hole(frame, hole, cfg))(frames_FHWC, holes_FHW)
    features = nnx.merge(graph, params)(squares)
    features /= jnp.linalg.norm(features, axis=-1, keepdims=True)
    return features, cells, jax.vmap(spatial_of_frame)(features, cells)


@jax.jit
def temporal_of_pair(f0_hwD: jax.Array, hole0_hw: jax.Array, f1_hwD: jax.Array, hole1_hw: jax.Array) -> jax.Array:
    """MMD of the patches that are hole in two consecutive frames; NaN if either has none."""
    D = f0_hwD.shape[-1]
    distance = kernel_distance(f0_hwD.reshape(-1, D), hole0_hw.reshape(-1), f1_hwD.reshape(-1, D), hole1_hw.reshape(-1))
    return jnp.where(hole0_hw.any() & hole1_hw.any(), distance, jnp.nan)


class RemovalGauge:
    """Both coherences of one clip."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks["dinov2"]
        self._spatial: list[float] = []
        self._temporal: list[float] = []
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames; the truth is not looked at."""
        network = self._network
        program = functools.partial(removal_features, network.graph, network.params, network.description)
        features, cells, spatial_F = by_blocks(program, result_FHWC, holes_FHW, size=2)
        self._spatial += [float(value) for value in spatial_F]
        for current in zip(features, cells):
            if self._before is not None:
                self._temporal.append(float(temporal_of_pair(*self._before, *current)))
            self._before = current

    def values(self) -> dict[str, Value]:
        """Means over frames, those without a hole left out."""
        found = {"removal_spatial": self._spatial, "removal_temporal": self._temporal}
        kept = {name: [value for value in values if not math.isnan(value)] for name, values in found.items()}
        return {name: float(np.mean(values)) if values else math.nan for name, values in kept.items()}
