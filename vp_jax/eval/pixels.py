"""PSNR, MSE and MAE of a clip on each region.

    MSE = mean (r - t)^2,  MAE = mean |r - t|,  PSNR = -10 log10 MSE

Means run over pixels and channels of a region in all frames of the clip; values are in [0, 1]. PSNR of equal regions is
`MAX_PSNR` instead of infinity, so that averages exist. All are NaN for an empty region.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.eval.blocks import by_blocks, difference
from vp_jax.eval.regions import REGIONS, region, score_name
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.video_metrics import MAX_PSNR


@functools.partial(jax.jit, static_argnums=3)
def error_sums(
    result_FHWC: jax.Array, truth_FHWC: jax.Array, holes_FHW: jax.Array, regions: tuple[str, ...]
) -> jax.Array:
    """Per frame and region: sum of squared errors, sum of absolute errors, number of values; (F, regions, 3)."""
    error_FHWC = difference(result_FHWC, truth_FHWC)
    # channels first, rows last: one sum over pixels of three fields
    squared_FHW, absolute_FHW = jnp.square(error_FHWC).sum(-1), jnp.abs(error_FHWC).sum(-1)
    columns = []
    for name in regions:
        inside_FHW = region(holes_FHW, name)
        fields = (squared_FHW, absolute_FHW, jnp.float32(error_FHWC.shape[-1]))
        columns.append(jnp.stack([jnp.where(inside_FHW, field, 0).sum((1, 2)) for field in fields], -1))
    return jnp.stack(columns, 1)


def psnr_of(mse: float) -> float:
    """PSNR in dB of a mean squared error of values in [0, 1], at most `MAX_PSNR`."""
    if math.isnan(mse):
        return math.nan
    return MAX_PSNR if mse == 0 else min(MAX_PSNR, -10 * math.log10(mse))


class PixelGauge:
    """Sums of errors on the regions that the wanted scores are about."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._regions = tuple(
            name for name in REGIONS if {score_name(s, name) for s in ("psnr", "mse", "mae")} & set(names)
        )
        self._sums = np.zeros((len(self._regions), 3))

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        program = functools.partial(error_sums, regions=self._regions)
        self._sums += by_blocks(program, result_FHWC, truth_FHWC, holes_FHW).astype(np.float64).sum(0)

    def values(self) -> dict[str, Value]:
        """PSNR, MSE and MAE of each region."""
        values: dict[str, Value] = {}
        for name, (squared, absolute, count) in zip(self._regions, self._sums):
            mse = float(squared / count) if count else math.nan
            values[score_name("mse", name)] = mse
            values[score_name("mae", name)] = float(absolute / count) if count else math.nan
            values[score_name("psnr", name)] = psnr_of(mse)
        return values
