"""Frames of a result between decoding and writing: in a nameless file of the job's folder, not in memory."""

from __future__ import annotations

import math
import os
import tempfile
import zlib
from pathlib import Path
from types import TracebackType

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.frames import Streamed
from vp_jax.reading import show


class FrameSpool(Streamed):
    """Frames at the model's size, added in order and read in any, also by another thread.

    The file has no name: whatever ends the run frees its space, and no run finds another one's frames. A run that goes
    on decodes its finished windows again. Each frame has a checksum.

    Args:
      folder: in which the file is made.
      shape: (F, H, W, 3) of all frames, uint8.

    Raises:
      UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._folder, self._sums, self._size = folder, list[int](), math.prod(shape[1:])
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
        except OSError as error:
            raise UserError(f"{show(folder)}: cannot be written ({error.strerror})") from error

    def add(self, start: int, frames_FHWC: np.ndarray) -> None:
        """Take the next frames.

        Args:
          start: number of the first.
          frames_FHWC: uint8.

        Raises:
          UserError: they cannot be written, for example because the disk is full.
        """
        assert start == len(self._sums) and frames_FHWC.dtype == np.uint8, (start, len(self._sums))
        try:
            self._file.seek(0, os.SEEK_END)
            for frame_HWC in frames_FHWC:
                content = np.ascontiguousarray(frame_HWC).data.cast("B")
                self._sums.append(zlib.crc32(content))
                while content:
                    content = content[self._file.write(content) :]
        except OSError as error:
            need = f"{self._size * len(self) / 1e9:.1f} GB for the frames of the result"
            raise UserError(f"{show(self._folder)}: cannot be written ({error.strerror}), it needs {need}") from error

    def picture(self, place: int) -> np.ndarray:
        """Frame ``place``. `UserError` if it is not what was added."""
        content = b""
        if place < len(self._sums):
            content = os.pread(self._file.fileno(), self._size, place * self._size)
        if len(content) != self._size or zlib.crc32(content) != self._sums[place]:
            raise UserError(f"{show(self._folder)}: frame {place} of the result is not what was written, start again")
        return np.frombuffer(content, np.uint8).reshape(self.shape[1:])

    def __enter__(self) -> FrameSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
