"""Holes that were read once, packed in memory: a mask is decoded a single time, however often its holes are looked at.

A hole of 1080p takes 3 kB, one that equals the hole before it nothing; ten minutes of a moving mask take 50 MB.
"""

from __future__ import annotations

import zlib

import numpy as np

from vp_jax.media.frames import Streamed

_FAST = 1


def equal_holes(one_HW: np.ndarray, other_HW: np.ndarray) -> bool:
    """Whether two holes, bool (H, W), are the same; eight pixels are compared at a time."""
    if one_HW is other_HW:
        return True
    if one_HW.shape != other_HW.shape:
        return False
    one, other = (np.ascontiguousarray(hole_HW).reshape(-1) for hole_HW in (one_HW, other_HW))
    eights = one.size // 8 * 8
    same = np.array_equal(one[:eights].view(np.uint64), other[:eights].view(np.uint64))
    return same and np.array_equal(one[eights:], other[eights:])


class PackedHoles(Streamed):
    """Holes bool HW by number, in the order in which they were added.

    Args:
      shape: (F, H, W) of all holes, once they are added.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._packed: list[bytes] = []
        self._last: tuple[bytes, np.ndarray] | None = None

    def add(self, hole_HW: np.ndarray) -> None:
        """Take the next hole, bool (H, W)."""
        if self._packed and self._last is not None and equal_holes(hole_HW, self._last[1]):
            self._packed.append(self._packed[-1])
            return
        self._packed.append(zlib.compress(np.packbits(hole_HW).data, _FAST))
        self._last = self._packed[-1], hole_HW

    def picture(self, place: int) -> np.ndarray:
        """See `Streamed`; read-only."""
        packed, last = self._packed[place], self._last
        if last is None or packed is not last[0]:
            bits = np.frombuffer(zlib.decompress(packed), np.uint8)
            hole_HW = np.unpackbits(bits, count=self.shape[1] * self.shape[2]).view(bool).reshape(self.shape[1:])
            hole_HW.flags.writeable = False
            last = self._last = packed, hole_HW
        return last[1]

    def again(self) -> PackedHoles:
        """The same holes for another reader."""
        other = PackedHoles(self.shape)
        other._packed = self._packed
        return other
