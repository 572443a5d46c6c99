"""Metrics of a clip against the truth: in its hole, outside, over time, and from window to window.

Truth t and result r are uint8 pixels, the hole m is bool (True = generated). Means run over all frames of the clip:

    PSNR(region)    = 10 log10(255^2 / mean_region (r - t)^2), at most 100 dB (equal pixels)
    SSIM(region)    = mean over the region of the SSIM map (Wang et al. 2004): Gaussian window of 11 x 11,
                      sigma 1.5, reflected borders, channels apart, C1 = 0.01^2, C2 = 0.03^2 for values 0 to 1
    temporal error  = mean |(r_f+1 - r_f) - (t_f+1 - t_f)| over pixels that are hole in both frames, in grey levels
    identity drift  = mean over windows k > 0 of |o_k - o_0|, in grey levels, with
                      o_k = mean over window k's inner hole of (r - t), a colour of three channels

The inner hole is the hole without its rim, where object and background mix. A constant wrong colour is not drift; a
colour that moves away from the choice of the first window is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vp_jax.media.masks import dilate

MAX_PSNR = 100.0
"""PSNR in dB of equal pixels."""

RIM = 2
"""Pixels at the edge of the hole that `identity_drift` leaves out."""

_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(truth_FHWC: np.ndarray, result_FHWC: np.ndarray, region_FHW: np.ndarray) -> float:
    """PSNR in dB over the pixels of ``region_FHW``; NaN for an empty region."""
    if not region_FHW.any():
        return math.nan
    error = np.square(truth_FHWC[region_FHW].astype(np.float64) - result_FHWC[region_FHW]).mean()
    return MAX_PSNR if error == 0 else min(MAX_PSNR, 10 * math.log10(255**2 / error))


def ssim(truth_FHWC: np.ndarray, result_FHWC: np.ndarray, region_FHW: np.ndarray) -> float:
    """Mean of `ssim_map` over the pixels of ``region_FHW``; NaN for an empty region.

    Frames must have at least 6 x 6 pixels.
    """
    if not region_FHW.any():
        return math.nan
    values = [ssim_map(t, r)[region] for t, r, region in zip(truth_FHWC, result_FHWC, region_FHW) if region.any()]
    return float(np.concatenate(values).mean())


def ssim_map(truth_HWC: np.ndarray, result_HWC: np.ndarray) -> np.ndarray:
    """SSIM of every pixel and channel of two uint8 pictures, float64 (H, W, C)."""
    a, b = truth_HWC / 255.0, result_HWC / 255.0
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a = np.maximum(_blurred(a * a) - mean_a**2, 0)
    variance_b = np.maximum(_blurred(b * b) - mean_b**2, 0)
    covariance = _blurred(a * b) - mean_a * mean_b
    brightness = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    result: np.ndarray = brightness * (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return result


def temporal_error(truth_FHWC: np.ndarray, result_FHWC: np.ndarray, holes_FHW: np.ndarray) -> float:
    """Mean absolute error of the changes from frame to frame in the hole, in grey levels.

    NaN if no pixel is in the hole in two consecutive frames.
    """
    both = holes_FHW[1:] & holes_FHW[:-1]
    if not both.any():
        return math.nan
    changes = np.diff(result_FHWC.astype(np.int16), axis=0) - np.diff(truth_FHWC.astype(np.int16), axis=0)
    return float(np.abs(changes[both]).mean())


def identity_drift(
    truth_FHWC: np.ndarray, result_FHWC: np.ndarray, holes_FHW: np.ndarray, starts: Sequence[int]
) -> float:
    """Mean distance of each window's mean colour error from that of the first window, in grey levels.

    Args:
      truth_FHWC: uint8 pixels of the truth.
      result_FHWC: uint8 pixels of the result.
      holes_FHW: bool, True in the hole.
      starts: first frame of each window; a window ends where the next one begins.

    Returns:
      The distance; NaN if fewer than two windows have an inner hole.
    """
    inner_FHW = ~dilate(~holes_FHW, RIM)
    offsets = []
    for begin, end in zip(starts, [*starts[1:], len(holes_FHW)]):
        inner = inner_FHW[begin:end]
        if inner.any():
            difference = result_FHWC[begin:end][inner].astype(np.float64) - truth_FHWC[begin:end][inner]
            offsets.append(difference.mean(axis=0))
    if len(offsets) < 2:
        return math.nan
    return float(np.mean([np.linalg.norm(offset - offsets[0]) for offset in offsets[1:]]))


def _blurred(x_HWC: np.ndarray) -> np.ndarray:
    """Gaussian blur along rows and columns, borders reflected without repeating the outermost pixel."""
    weights = np.exp(-(np.arange(-_RADIUS, _RADIUS + 1) ** 2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(0, 0)] * x_HWC.ndim
        padding[axis] = (_RADIUS, _RADIUS)
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x_HWC, padding, mode="reflect"), 2 * _RADIUS + 1, axis=axis
        )
        x_HWC = windows @ weights
    return x_HWC
