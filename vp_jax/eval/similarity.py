"""Structural similarity (SSIM; Wang et al. 2004) of a clip on each region.

    SSIM = (2 m_a m_b + C1) (2 c_ab + C2) / ((m_a^2 + m_b^2 + C1) (v_a + v_b + C2))

with means, variances and covariance under a Gaussian window of 11 x 11 pixels, sigma 1.5, reflected borders, channels
apart, C1 = 0.01^2 and C2 = 0.03^2 for values in [0, 1]: the defaults of torchmetrics. The value of a clip is the mean
over the pixels of the region in all frames.

On a region, both pictures are black elsewhere, so that what either shows there has no influence.
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

_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_MIDDLE = 0.5


def _weights() -> list[float]:
    weights = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
    return [float(weight) for weight in weights / weights.sum()]


def _blurred(x_JCHW: jax.Array) -> jax.Array:
    """Gaussian blur along rows and columns, borders reflected without repeating the outermost pixel."""
    weights = _weights()
    for axis in (2, 3):
        size = x_JCHW.shape[axis]
        padding = [(0, 0)] * 4
        padding[axis] = (_RADIUS, _RADIUS)
        padded = jnp.pad(x_JCHW, padding, mode="reflect")
        x_JCHW = sum(weight * jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k, weight in enumerate(weights))
        # the second pass reads each value eleven times: without the barrier XLA computes it as often
        x_JCHW = jax.lax.optimization_barrier(x_JCHW)
    return x_JCHW


def ssim_field(a_HWC: jax.Array, b_HWC: jax.Array) -> jax.Array:
    """SSIM of every pixel and channel of two pictures in [0, 1], float32 (C, H, W).

    Pictures must have at least 6 x 6 pixels.
    """
    # around the middle of the range: the variance of a bright, even area is not a difference of large numbers
    a, b = (jnp.moveaxis(x_HWC, -1, 0) - _MIDDLE for x_HWC in (a_HWC, b_HWC))
    mean_a, mean_b, power, product = _blurred(jnp.stack([a, b, a * a + b * b, a * b]))
    variances = jnp.maximum(power - mean_a**2 - mean_b**2, 0)
    covariance = product - mean_a * mean_b
    mean_a, mean_b = mean_a + _MIDDLE, mean_b + _MIDDLE
    brightness = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    similarity: jax.Array = brightness * (2 * covariance + _C2) / (variances + _C2)
    return similarity


@functools.partial(jax.jit, static_argnums=3)
def ssim_sums(
    result_FHWC: jax.Array, truth_FHWC: jax.Array, holes_FHW: jax.Array, regions: tuple[str, ...]
) -> jax.Array:
    """Per frame and region: sum of SSIM, number of values; (F, regions, 2)."""
    areas_FJHW = jnp.stack([region(holes_FHW, name) for name in regions], 1)

    def frame(pictures: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        a_HWC, b_HWC = as_float(pictures[0]), as_float(pictures[1])

        def sums(area_HW: jax.Array) -> jax.Array:
            field_CHW = ssim_field(*(jnp.where(area_HW[..., None], x_HWC, 0) for x_HWC in (a_HWC, b_HWC)))
            return jnp.array([jnp.where(area_HW, field_CHW, 0).sum(), area_HW.sum() * field_CHW.shape[0]])

        found: jax.Array = jax.lax.map(sums, pictures[2])
        return found

    # one frame and one region at a time: their fields stay in the cache, and the program is compiled once
    result: jax.Array = jax.lax.map(frame, (result_FHWC, truth_FHWC, areas_FJHW))
    return result


class SimilarityGauge:
    """SSIM on the regions that the wanted scores are about."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._regions = tuple(name for name in REGIONS if score_name("ssim", name) in names)
        self._sums = np.zeros((len(self._regions), 2))

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        program = functools.partial(ssim_sums, regions=self._regions)
        self._sums += by_blocks(program, result_FHWC, truth_FHWC, holes_FHW).astype(np.float64).sum(0)

    def values(self) -> dict[str, Value]:
        """SSIM of each region."""
        return {
            score_name("ssim", name): float(total / count) if count else math.nan
            for name, (total, count) in zip(self._regions, self._sums)
        }
