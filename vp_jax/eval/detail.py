"""Sharpness: detail of the result, relative to the truth, on each region.

    detail = mean over the region of |Laplacian of the brightness|,   sharpness = min(d_r / d_t, d_t / d_r)

with the Laplacian of the four neighbours, inside the region alone: pixels whose neighbours are not in the region are
left out. A blurred result has less detail than the truth, noise has more; 1 is as sharp as the truth.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.eval.blocks import as_float, by_blocks
from vp_jax.eval.regions import REGIONS, region, score_name
from vp_jax.eval.score import ClipFacts, Networks, Value

_BRIGHTNESS = (0.299, 0.587, 0.114)
"""Share of red, green and blue in the brightness (ITU-R BT.601)."""


def _neighbours(x_FHW: jax.Array) -> tuple[jax.Array, ...]:
    return x_FHW[:, :-2, 1:-1], x_FHW[:, 2:, 1:-1], x_FHW[:, 1:-1, :-2], x_FHW[:, 1:-1, 2:]


@functools.partial(jax.jit, static_argnums=3)
def detail_sums(
    result_FHWC: jax.Array, truth_FHWC: jax.Array, holes_FHW: jax.Array, regions: tuple[str, ...]
) -> jax.Array:
    """Per frame and region: sum of the detail of result and truth, (F, regions, 2)."""
    fields = []
    for frames_FHWC in (result_FHWC, truth_FHWC):
        y_FHW = as_float(frames_FHWC) @ jnp.array(_BRIGHTNESS, jnp.float32)
        fields.append(jnp.abs(sum(_neighbours(y_FHW)) - 4 * y_FHW[:, 1:-1, 1:-1]))
    rows = []
    for name in regions:
        area_FHW = region(holes_FHW, name)
        inner_FHW = functools.reduce(jnp.logical_and, _neighbours(area_FHW), area_FHW[:, 1:-1, 1:-1])
        rows.append(jnp.stack([jnp.where(inner_FHW, field, 0).sum((1, 2)) for field in fields], -1))
    return jnp.stack(rows, 1)


class DetailGauge:
    """Detail of result and truth on the regions that the wanted scores are about."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._regions = tuple(name for name in REGIONS if score_name("sharpness", name) in names)
        self._sums = np.zeros((len(self._regions), 2))

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        program = functools.partial(detail_sums, regions=self._regions)
        self._sums += by_blocks(program, result_FHWC, truth_FHWC, holes_FHW).astype(np.float64).sum(0)

    def values(self) -> dict[str, Value]:
        """Sharpness of each region, 0 to 1; NaN where neither shows any detail."""
        return {
            score_name("sharpness", name): float(min(pair) / max(pair)) if max(pair) > 0 else math.nan
            for name, pair in zip(self._regions, self._sums)
        }
