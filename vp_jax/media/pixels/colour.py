"""Colours as a file states them, and pictures of RGB as planes in those colours (ITU-T H.273, ITU-R BT.601/709/2020).

    Y'  = Kr R' + (1 - Kr - Kb) G' + Kb B'        Cb = (B' - Y') / (2 - 2 Kb)        Cr = (R' - Y') / (2 - 2 Kr)

    limited range:  (219 Y' + 16) 2^(depth - 8)   (224 C + 128) 2^(depth - 8)        full range:  over all codes

A chroma sample is the weighted mean of the pixels around its place, by the triangle that bilinear players invert: a
co-sited sample takes 1/4, 1/2, 1/4 of three pixels, a sample between two pixels 1/8, 3/8, 3/8, 1/8 of four.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vp_jax.media.pixels.light import DisplayLight
from vp_jax.media.pixels.pixel_format import PixelFormat

UNSPECIFIED = 2
"""Primaries, transfer or matrix that a file does not state."""
LIMITED, FULL = 1, 2
"""Ranges as FFmpeg numbers them; 0 is not stated."""

_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Kr and Kb by matrix code."""


class Colours(NamedTuple):
    """Tags of a file, by the codes of ITU-T H.273; the range by FFmpeg's."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0

    def matrix_for(self, height: int, width: int) -> int:
        """The matrix; not stated, it is BT.709 from 720 rows or 1280 columns on, else BT.601, as players assume."""
        if self.matrix != UNSPECIFIED:
            return self.matrix
        return 1 if height >= 720 or width >= 1280 else 6


BT709 = Colours(1, 1, 1, LIMITED)
UNTAGGED = Colours()


class Signal(NamedTuple):
    """How the samples of a video stand for colours.

    Attributes:
      matrix: code of it, for Y'CbCr.
      full: samples use all codes, not those of limited range.
      site: place of the first chroma sample in luma rows and columns.
      light: how the signal is shown, None for SDR.
      interlaced: even and odd rows are pictures of their own.
    """

    matrix: int = 1
    full: bool = False
    site: tuple[float, float] = (0.0, 0.0)
    light: DisplayLight | None = None
    interlaced: bool = False

    def of_field(self, parity: int) -> Signal:
        """The signal of the even or the odd rows alone; 4:2:0 chroma lies nearer to the first row of the upper field.

        Chroma between two rows of a frame is 1/4 of a field row below the upper field's, 3/4 below the lower field's
        (ISO/IEC 13818-2, figure 6-3).
        """
        row, column = self.site
        return self._replace(site=((0.25, 0.75)[parity] if row == 0.5 else row, column), interlaced=False)


def known_matrix(matrix: int) -> bool:
    """Whether `planes_from` has this matrix; it lacks YCgCo, ICtCp and constant luminance."""
    return matrix in _WEIGHTS or matrix == UNSPECIFIED


def planes_from(sdr_HWC: np.ndarray, layout: PixelFormat, signal: Signal) -> list[np.ndarray]:
    """A picture as planes without transparency, float32, not rounded.

    Args:
      sdr_HWC: RGB uint8, BT.709 SDR, its first row and column at a multiple of ``layout.step``.
      layout: of the planes.
      signal: what the planes stand for.
    """
    signal_HWC = signal.light.from_sdr(sdr_HWC) if signal.light else sdr_HWC.astype(np.float32) / 255
    most = np.float32((1 << layout.depth) - 1)
    if layout.family == "rgb":
        return [signal_HWC[..., channel] * most for channel in (1, 2, 0)]
    kr, kb = _WEIGHTS[signal.matrix if layout.family == "yuv" else 6]
    luma_HW = signal_HWC @ np.array([kr, 1 - kr - kb, kb], np.float32)
    if layout.family == "grey":  # grey is of full range in FFmpeg's conversions, whatever it says
        return [luma_HW * most]
    chroma = [(signal_HWC[..., 2] - luma_HW) / (2 - 2 * kb), (signal_HWC[..., 0] - luma_HW) / (2 - 2 * kr)]
    for axis in (0, 1):
        chroma = [_reduced(plane, axis, layout.step[axis], signal.site[axis]) for plane in chroma]
    unit = np.float32(1 << (layout.depth - 8))
    if signal.full:
        return [luma_HW * most, *(plane * most + 128 * unit for plane in chroma)]
    return [(219 * luma_HW + 16) * unit, *((224 * plane + 128) * unit for plane in chroma)]


def rounded(plane: np.ndarray, layout: PixelFormat) -> np.ndarray:
    """Samples of float values."""
    samples: np.ndarray = np.rint(np.clip(plane, 0, (1 << layout.depth) - 1)).astype(layout.dtype)
    return samples


def reach(step: int, site: float) -> range:
    """Pixels that are interpolated from the chroma sample of number 0, relative to pixel 0."""
    first, last = site - step, site + step
    return range(int(np.floor(first)) + 1, int(np.ceil(last)))


def _reduced(plane: np.ndarray, axis: int, step: int, site: float) -> np.ndarray:
    """Every ``step``-th sample along an axis, at its place, by the triangle of the module."""
    if step == 1:
        return plane
    offsets = reach(step, site)
    weights: np.ndarray = np.array([step - abs(offset - site) for offset in offsets], np.float32)
    weights /= weights.sum()
    count = -(-plane.shape[axis] // step)
    index = np.clip(step * np.arange(count)[:, None] + np.array(offsets), 0, plane.shape[axis] - 1)
    taken = np.moveaxis(np.take(plane, index, axis=axis), axis + 1, -1)
    return np.asarray(taken @ weights)
