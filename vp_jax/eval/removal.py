"""Coherence of a removal, without a truth: does the filled hole look like its surroundings, and like itself over time?

RC-S and RC-T of PROVE (arXiv 2605.14534), by the definition that its authors published:

    k(x, y)           = exp(-|x - y|^2 / (2 * 10^2)), x and y of unit length
    MMD2(A, B)        = 1000 (mean k(a, a') + mean k(b, b') - 2 mean k(a, b))
    removal_spatial   = exp(-M / 3), M the mean over windows of MMD2(patches of the hole, patches of the background)
    removal_temporal  = mean over windows of MMD2(patches of both holes in f, the same patches in f + 1)

Patches are DINOv2's features of a square around each connected part of the hole (spatial), or around the union of the
holes of two frames (temporal). A window has a quarter of the square's patches on a side, and moves by an eighth. Where
a window has more than `MORE_THAN` patches of the hole and of the background, these two are compared; where it has no
background, its hole is compared with all background of the square. A patch that a hole touches is hole.

Two things are not as published: pictures are enlarged to the size of DINOv2's position table, not to 448 pixels, and
the published figures are those of the giant model, which is not read here.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Collection
from typing import Any, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.eval.blocks import as_float, by_blocks
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.channels import normalised
from vp_jax.models.metrics.dino import DINO_MEAN, DINO_STD, DinoConfig

SIGMA, TAU, SCALE = 10.0, 3.0, 1000.0
WINDOW, STEP = 16 / 64, 8 / 64
"""Side and step of a window, as shares of the patches along the square."""
MORE_THAN, LEAST_SHARED = 5, 5
LEAST_AREA = 200
"""Pixels of a part of the hole that is looked at; the largest is, whatever its size."""
SQUARE_MARGIN = 1 / 3
"""Of the square's inner side, on each side, as far as the frame goes."""


class Square(NamedTuple):
    """A square of a frame, in pixels."""

    top: int
    left: int
    side: int

    def of(self, x_HW: np.ndarray) -> np.ndarray:
        """That part of a picture or a mask."""
        return x_HW[self.top : self.top + self.side, self.left : self.left + self.side]


def square_around(hole_HW: np.ndarray) -> Square:
    """The square with the hole in its middle and a margin, within the frame."""
    frame, corner, inner = hole_HW.shape, [], []
    for axis in (1, 0):
        (found,) = np.nonzero(hole_HW.any(axis=axis))
        inner.append(int(found[-1]) + 1 - int(found[0]))
        corner.append((int(found[0]) + int(found[-1]) + 1) / 2)
    side = max(inner)
    starts = [round(middle - side / 2) for middle in corner]
    rooms = [room for start, size in zip(starts, frame) for room in (start, size - start - side)]
    margin = max(0, min(round(side * SQUARE_MARGIN), side // 2, *rooms))
    side = min(side + 2 * margin, *frame)
    top, left = (min(max(0, start - margin), size - side) for start, size in zip(starts, frame))
    return Square(top, left, side)


def parts_of(hole_HW: np.ndarray) -> list[np.ndarray]:
    """Connected parts of a hole (four neighbours), those of `LEAST_AREA` pixels or, if there are none, the largest."""
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(hole_HW.astype(np.uint8), connectivity=4)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    least = min(LEAST_AREA, areas.max(initial=0))
    return [labels_HW == label for label in range(1, count) if areas[label - 1] >= least]


def at_network_size(square: Square, frame_HWC: np.ndarray, cfg: DinoConfig) -> np.ndarray:
    """Pixels of a square at the network's size."""
    size = (cfg.image, cfg.image)
    return np.asarray(cv2.resize(np.ascontiguousarray(square.of(frame_HWC)), size, interpolation=cv2.INTER_LINEAR))


def touched_cells(square: Square, hole_HW: np.ndarray, cfg: DinoConfig) -> np.ndarray:
    """Patches (rows, columns) of a square that a hole touches."""
    size, cells = (cfg.image, cfg.image), cfg.image // cfg.patch
    mask_HW = cv2.resize(square.of(hole_HW).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    used = mask_HW[: cells * cfg.patch, : cells * cfg.patch]
    return np.asarray(used.reshape(cells, cfg.patch, cells, cfg.patch).max(axis=(1, 3)) > 0)


def window_patches(cells: int) -> np.ndarray:
    """Which patches belong to which window: bool (windows, patches) of a square of ``cells`` x ``cells``."""
    side, step = max(1, int(WINDOW * cells)), max(1, int(STEP * cells))
    out = []
    for row, column in itertools.product(range(0, cells - side + 1, step), repeat=2):
        inside = np.zeros((cells, cells), bool)
        inside[row : row + side, column : column + side] = True
        out.append(inside.reshape(-1))
    return np.stack(out)


@functools.partial(jax.jit, static_argnums=(0, 2))
def patch_features(graph: nnx.GraphDef[Any], params: trees.Tree, cfg: DinoConfig, squares_FHWC: jax.Array) -> jax.Array:
    """Features (F, patches, D) of unit length of squares at the network's size."""
    x_FHWC = normalised(as_float(squares_FHWC), DINO_MEAN, DINO_STD)
    features = nnx.merge(graph, params)(x_FHWC)
    features = features.reshape(len(features), -1, features.shape[-1])
    unit: jax.Array = features / jnp.linalg.norm(features, axis=-1, keepdims=True)
    return unit


def _kernel(a_ND: jax.Array, b_ND: jax.Array) -> jax.Array:
    """k(x, y) - 1: what is compared are differences of means, in which the 1 cancels."""
    return jnp.expm1((jnp.matmul(a_ND, b_ND.T, precision="highest") - 1) / SIGMA**2)


def _shares(marks_WN: jax.Array) -> jax.Array:
    """Weights of the marked patches of each window that sum up to 1; none are marked: 0."""
    return marks_WN / jnp.maximum(marks_WN.sum(-1, keepdims=True), 1)


def _forms(a_WN: jax.Array, kernel_NM: jax.Array, b_WM: jax.Array) -> jax.Array:
    return jnp.einsum("wn,nm,wm->w", a_WN, kernel_NM, b_WM, precision="highest")


@jax.jit
def spatial_coherence(features_ND: jax.Array, hole_N: jax.Array, windows_WN: jax.Array) -> jax.Array:
    """`removal_spatial` of one square; NaN without a window to compare."""
    hole_1N = hole_N[None]
    inside, outside = windows_WN & hole_1N, windows_WN & ~hole_1N
    found, around = inside.sum(-1), outside.sum(-1)
    outside = jnp.where((around == 0)[:, None], ~hole_1N, outside)
    counts = (found > MORE_THAN) & ((around > MORE_THAN) | ((around == 0) & (~hole_N).any()))
    signed_WN = _shares(inside) - _shares(outside)
    mmd_W = SCALE * _forms(signed_WN, _kernel(features_ND, features_ND), signed_WN)
    mean = jnp.where(counts, mmd_W, 0).sum() / counts.sum()
    return jnp.exp(-jnp.maximum(mean, 0) / TAU)


@jax.jit
def temporal_distance(
    before_ND: jax.Array, after_ND: jax.Array, shared_N: jax.Array, windows_WN: jax.Array
) -> jax.Array:
    """`removal_temporal` of two frames, of the patches that are hole in both; NaN without a window to compare."""
    inside = windows_WN & shared_N[None]
    counts, a_WN = inside.sum(-1) >= LEAST_SHARED, _shares(inside)
    pairs = ((before_ND, before_ND, 1), (after_ND, after_ND, 1), (before_ND, after_ND, -2))
    mmd_W = SCALE * sum(sign * _forms(a_WN, _kernel(x, y), a_WN) for x, y, sign in pairs)
    return jnp.where(counts, mmd_W, 0).sum() / counts.sum()


class RemovalGauge:
    """Both coherences of one clip, those that are asked for."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._network: LoadedNetwork = networks["dinov2"]
        description: Any = self._network.description
        self._cfg: DinoConfig = description
        self._windows_WN = window_patches(self._cfg.image // self._cfg.patch)
        self._found: dict[str, list[float]] = {name: [] for name in names}
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames; the truth is not looked at."""
        for frame_HWC, hole_HW in zip(np.asarray(result_FHWC), np.asarray(holes_FHW)):
            if "removal_spatial" in self._found and hole_HW.any():
                self._found["removal_spatial"].append(self._spatial(frame_HWC, hole_HW))
            if "removal_temporal" in self._found:
                if self._before is not None and self._before[1].any() and hole_HW.any():
                    self._found["removal_temporal"].append(self._temporal(self._before, (frame_HWC, hole_HW)))
                self._before = (frame_HWC, hole_HW)

    def _features(self, squares_FHWC: np.ndarray) -> np.ndarray:
        network = self._network
        program = functools.partial(patch_features, network.graph, network.params, network.description)
        return np.asarray(by_blocks(program, squares_FHWC, size=2))

    def _spatial(self, frame_HWC: np.ndarray, hole_HW: np.ndarray) -> float:
        cfg = self._cfg
        squares = [(square_around(part_HW), part_HW) for part_HW in parts_of(hole_HW)]
        features = self._features(np.stack([at_network_size(square, frame_HWC, cfg) for square, _ in squares]))
        cells = [touched_cells(square, hole_HW, cfg).reshape(-1) for square, _ in squares]
        values = [float(spatial_coherence(*pair, self._windows_WN)) for pair in zip(features, cells)]
        kept = [value for value in values if not math.isnan(value)]
        return float(np.mean(kept)) if kept else math.nan

    def _temporal(self, before: tuple[np.ndarray, np.ndarray], now: tuple[np.ndarray, np.ndarray]) -> float:
        cfg = self._cfg
        square = square_around(before[1] | now[1])
        pixels, holes = zip(before, now)
        features = self._features(np.stack([at_network_size(square, frame_HWC, cfg) for frame_HWC in pixels]))
        first, second = (touched_cells(square, hole_HW, cfg).reshape(-1) for hole_HW in holes)
        return float(temporal_distance(*features, first & second, self._windows_WN))

    def values(self) -> dict[str, Value]:
        """Means over frames, those without a hole left out."""
        kept = {name: [value for value in values if not math.isnan(value)] for name, values in self._found.items()}
        return {name: float(np.mean(values)) if values else math.nan for name, values in kept.items()}
