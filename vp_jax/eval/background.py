"""Exclusivity of an edit: the share of the background that it left as it was.

A pixel counts as changed where a channel differs by more than `CHANGE` from the source: a lossy encoding of the result
stays below that, an edit that spills over the mask does not.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.eval.blocks import by_blocks, difference
from vp_jax.eval.score import ClipFacts, Networks, Value

CHANGE = 8 / 255
"""Largest difference of a channel, in [0, 1], that does not count as a change."""


@jax.jit
def unchanged_counts(result_FHWC: jax.Array, source_FHWC: jax.Array, holes_FHW: jax.Array) -> jax.Array:
    """Per frame: pixels of the background that did not change, pixels of the background; (F, 2)."""
    # half a level of tolerance, so that a difference of exactly 8 levels does not hang on rounding
    largest_FHW = jnp.abs(difference(result_FHWC, source_FHWC)).max(-1)
    kept_FHW = ~holes_FHW & (largest_FHW <= CHANGE + 0.5 / 255)
    return jnp.stack([kept_FHW.sum((1, 2)), (~holes_FHW).sum((1, 2))], -1)


class ExclusivityGauge:
    """Counts unchanged pixels of the background."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._counts = np.zeros(2)

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames; the truth is the source here."""
        self._counts += by_blocks(unchanged_counts, result_FHWC, truth_FHWC, holes_FHW).sum(0)

    def values(self) -> dict[str, Value]:
        """The share, 0 to 1."""
        kept, pixels = self._counts
        return {"exclusivity": float(kept / pixels) if pixels else math.nan}
