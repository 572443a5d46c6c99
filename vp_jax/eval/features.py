"""Distance of two pictures in the features of DINOv2: what they show, where, without the level of single pixels.

    dino_distance = mean over frames of the mean over patches of 1 - cosine(result, truth)

Pictures are squeezed to the square that the network takes, both alike. In the hole, patches count that it touches.
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
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.models.metrics.channels import normalised
from vp_jax.models.metrics.dino import DINO_MEAN, DINO_STD, DinoConfig

DINO_DISTANCE = "dino_distance"


@functools.partial(jax.jit, static_argnums=(0, 2))
def dino_distances(
    graph: nnx.GraphDef[Any],
    params: trees.Tree,
    cfg: DinoConfig,
    result_FHWC: jax.Array,
    truth_FHWC: jax.Array,
    holes_FHW: jax.Array,
) -> jax.Array:
    """Mean distance of all patches of each frame, and of those that the hole touches, NaN without any; (F, 2)."""
    network = nnx.merge(graph, params)

    def unit(x_FHWC: jax.Array) -> jax.Array:
        shape = (len(x_FHWC), cfg.image, cfg.image, 3)
        x_FHWC = jax.image.resize(as_float(x_FHWC), shape, "cubic")
        features = network(normalised(x_FHWC, DINO_MEAN, DINO_STD))
        scaled: jax.Array = features / jnp.linalg.norm(features, axis=-1, keepdims=True)
        return scaled

    apart_Fhw = 1 - (unit(result_FHWC) * unit(truth_FHWC)).sum(-1)
    cells = cfg.image // cfg.patch
    large_FHW = jax.image.resize(holes_FHW, (len(holes_FHW), cfg.image, cfg.image), "nearest")
    touched_Fhw = large_FHW.reshape(-1, cells, cfg.patch, cells, cfg.patch).any((2, 4))
    inside = jnp.where(touched_Fhw, apart_Fhw, 0).sum((1, 2)) / touched_Fhw.sum((1, 2))
    return jnp.stack([apart_Fhw.mean((1, 2)), inside], -1)


class DinoGauge:
    """Distance of a clip, on the complete frame and in the hole."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        network = networks["dinov2"]
        self._program = functools.partial(dino_distances, network.graph, network.params, network.description)
        self._names = names
        self._found: list[np.ndarray] = []

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        self._found += list(by_blocks(self._program, result_FHWC, truth_FHWC, holes_FHW, size=2))

    def values(self) -> dict[str, Value]:
        """Means over frames, for the hole those that have one."""
        table_F2 = np.array(self._found, np.float64).reshape(-1, 2)
        out: dict[str, Value] = {}
        for column, region in enumerate((WHOLE, HOLE)):
            kept = table_F2[~np.isnan(table_F2[:, column]), column]
            out[score_name(DINO_DISTANCE, region)] = float(kept.mean()) if len(kept) else math.nan
        return {name: out[name] for name in self._names}
