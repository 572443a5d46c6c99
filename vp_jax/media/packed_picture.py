"""A picture of packed 8-bit RGB, as lossless films store it: its colours are put in order only if they are asked for.

A mask needs none of that: whether a pixel is bright is seen in its four bytes at once.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from vp_jax.media.images import Picture

_ROWS = 40
"""Rows that are looked at together, so that what is made of them stays in the cache."""
_BITS = {127: 0x80_80_80, 0: 0xFF_FF_FF}
"""Bits of three bytes of which one is set if, and only if, a byte is above the value."""


class PackedPicture(Picture):
    """A `Picture` without transparency.

    Args:
      packed_HWB: uint8, upright; three bytes of colour, in any order, and one without meaning.
      order: how OpenCV makes RGB of them.
      lossless: see `Picture`.
    """

    def __init__(self, packed_HWB: np.ndarray, order: int, lossless: bool) -> None:
        self._packed_HWB, self._order = packed_HWB, order
        self.lossless = lossless

    @functools.cached_property
    def rgb_HWC(self) -> np.ndarray:  # type: ignore[override]
        """See `Picture`."""
        return np.asarray(cv2.cvtColor(self._packed_HWB, self._order))

    @property
    def size(self) -> tuple[int, int]:
        """See `Picture`."""
        return self._packed_HWB.shape[0], self._packed_HWB.shape[1]

    def above(self, level: int) -> np.ndarray:
        """See `Picture`."""
        if level not in _BITS:
            return super().above(level)
        pixels_HW = self._packed_HWB.view("<u4")[..., 0]
        out_HW = np.empty(pixels_HW.shape, bool)
        some_HW = np.empty((_ROWS, pixels_HW.shape[1]), np.uint32)
        for top in range(0, len(out_HW), _ROWS):
            rows_HW = pixels_HW[top : top + _ROWS]
            bits_HW = np.bitwise_and(rows_HW, np.uint32(_BITS[level]), out=some_HW[: len(rows_HW)])
            np.not_equal(bits_HW, 0, out=out_HW[top : top + _ROWS])
        return out_HW
