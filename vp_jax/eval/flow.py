"""Warping error with RAFT's flow (`vp_jax.models.metrics.raft`); `vp_jax.eval.motion` has the one without weights."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.eval.blocks import as_float
from vp_jax.eval.motion import WarpingGauge
from vp_jax.eval.score import ClipFacts, Networks
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.raft import CELL, LEAST_SIZE


def _padding(size: int) -> tuple[int, int]:
    """Pixels before and behind an axis, so that RAFT takes it."""
    missing = max(LEAST_SIZE, -(-size // CELL) * CELL) - size
    return missing // 2, missing - missing // 2


@functools.partial(jax.jit, static_argnums=0)
def raft_flow(graph: nnx.GraphDef[Any], params: trees.Tree, first_HWC: jax.Array, second_HWC: jax.Array) -> jax.Array:
    """Flow (H, W, 2) from the first to the second picture of any size; borders are repeated where RAFT needs more."""
    H, W, _ = first_HWC.shape
    sides = (_padding(H), _padding(W), (0, 0))
    pictures = [jnp.pad(2 * as_float(picture) - 1, sides, mode="edge") for picture in (first_HWC, second_HWC)]
    flow_HW2: jax.Array = nnx.merge(graph, params)(*pictures)
    return flow_HW2[sides[0][0] : sides[0][0] + H, sides[1][0] : sides[1][0] + W]


def raft_gauge(names: Collection[str], clip: ClipFacts, networks: Networks) -> WarpingGauge:
    """Warping error with RAFT's flow."""
    network: LoadedNetwork = networks["raft"]

    def flow(first_HWC: np.ndarray, second_HWC: np.ndarray) -> np.ndarray:
        return np.asarray(raft_flow(network.graph, network.params, first_HWC, second_HWC))

    return WarpingGauge(names, "warping_error_raft", flow)
