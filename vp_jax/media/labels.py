"""Label maps: ``all_masks.npz`` of VPData and others like it, one integer per pixel, read frame by frame.

A ten-second HD video has 0.6 GB per byte of label, so a map is never held in memory as one array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.arrays import Array, opened_arrays
from vp_jax.media.images import MOST_PIXELS
from vp_jax.media.inputs import is_folder, open_regular
from vp_jax.reading import reading, show

NAME = "arr_0"
"""The array that ``np.savez(file, labels)`` writes."""


class LabelMap:
    """Integer labels (T, H, W) of an .npz: ``arr_0``, or its only array.

    Attributes:
      shape, dtype: as declared; reading checks them.

    Raises:
      UserError: unreadable, no such array, or not integers of three dimensions.
    """

    def __init__(self, file: str | Path, *, most_pixels: int = MOST_PIXELS) -> None:
        self.file = Path(file)
        with opened_arrays(self.file) as arrays:
            array = self._labels(arrays)
            self.shape: tuple[int, ...] = array.shape
            self.dtype = array.dtype
        if self.shape[1] * self.shape[2] > most_pixels:
            raise UserError(
                f"{array.label}: frames of {self.shape[2]}x{self.shape[1]} pixels, expected {most_pixels:,}"
            )

    def _labels(self, arrays: dict[str, Array]) -> Array:
        names = list(arrays)
        name = NAME if NAME in names else names[0] if len(names) == 1 else None
        if name is None:
            listed = ", ".join(show(name) for name in sorted(names)[:8]) or "nothing"
            raise UserError(f"{show(self.file)}: holds {listed}, expected {NAME} with labels (frames, height, width)")
        array = arrays[name]
        if len(array.shape) != 3 or array.dtype.kind not in "biu" or 0 in array.shape[1:]:
            raise UserError(
                f"{array.label}: array {array.dtype} of shape {array.shape}, expected integers (frames, height, width)"
            )
        return array

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the labels of every frame, HW; the memory is reused for the next."""
        with opened_arrays(self.file) as arrays:
            yield from self._labels(arrays).rows()

    def present(self) -> list[int]:
        """The labels that occur, ascending."""
        found: set[int] = set()
        for labels_HW in self.frames():
            found |= _present(labels_HW)
        return sorted(found)

    def where(
        self, indices: Iterable[int], test: Callable[[np.ndarray], np.ndarray], present: set[int] | None = None
    ) -> np.ndarray:
        """``test`` of the labels HW of these ascending frame numbers, as bool FHW.

        The file is read to its end, where its checksum is: a flipped bit is found wherever it is.

        Args:
          indices: ascending frame numbers.
          test: takes the labels HW of a frame and returns bool HW.
          present: gets the labels that occur in any frame of the file, if it is given.

        Raises:
          UserError: damaged, or it ends before the last of ``indices``.
        """
        places = {int(index): place for place, index in enumerate(indices)}
        if places and max(places) >= self.shape[0]:
            raise UserError(f"{show(self.file)}: has {self.shape[0]} masks, frame {max(places)} was requested")
        out_FHW = np.empty((len(places), *self.shape[1:]), bool)
        for index, labels_HW in enumerate(self.frames()):
            if index in places:
                out_FHW[places[index]] = test(labels_HW)
            if present is not None:
                present |= _present(labels_HW)
        return out_FHW


def _present(labels_HW: np.ndarray) -> set[int]:
    least, most = int(labels_HW.min()), int(labels_HW.max())
    if least == most:
        return {least}
    if labels_HW.dtype.itemsize == 1:  # many times faster than sorting the pixels
        counts = np.bincount(labels_HW.view(np.uint8).reshape(-1), minlength=256)
        return {int(label) for label in np.flatnonzero(counts).astype(np.uint8).view(labels_HW.dtype)}
    return {int(label) for label in np.unique(labels_HW)}


def is_label_map(path: str | Path) -> bool:
    """Whether a file is one of NumPy's, by its first bytes. `UserError` if it cannot be read."""
    if is_folder(path):
        return False
    with open_regular(path) as file, reading(path):
        return file.read(6).startswith((b"PK\x03\x04", b"PK\x05\x06", np.lib.format.MAGIC_PREFIX))
