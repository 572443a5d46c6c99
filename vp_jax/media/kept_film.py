"""Frames of a short film, kept as they were decoded: a job reads its source up to five times.

It is counted and searched for cuts, read for the model, drawn beside the result, pasted into, and compared with what
was written. 512 MiB hold 170 frames of 1080p or 1,000 of 480p in 8-bit 4:2:0. A film that needs more is decoded every
time and nothing of it is kept, so memory does not depend on the length.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator
from typing import TypeVar

from vp_jax.media.decoded_frame import DecodedFrame

T = TypeVar("T")

KEPT_BYTES = 512 << 20
"""Of all frames that are kept of a film."""


class KeptFilm:
    """The requested frames of one film, or none of them.

    Frames are converted one at a time, whichever threads ask for them: PyAV changes the tags of a frame while it
    converts it.

    Args:
      most_bytes: of all frames.
    """

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most, self._bytes, self._lock, self.complete = most_bytes, 0, threading.Lock(), False
        self._frames: list[DecodedFrame] = []

    def fits(self, frames: int, height: int, width: int) -> bool:
        """Whether so many frames can be kept at all: none takes less than 4:2:0 of 8 bits."""
        return frames * height * width * 3 // 2 <= self._most

    def add(self, decoded: DecodedFrame, of: int) -> None:
        """Keep the next frame if ``of`` frames of its size fit."""
        size = sum(plane.buffer_size for plane in decoded.frame.planes)
        self._bytes += size
        if size * of > self._most or self._bytes > self._most:
            self._bytes, self._frames = self._most, []
        else:
            self._frames.append(decoded)

    def finish(self, frames: int) -> None:
        """All ``frames`` requested ones have been added: from here on they are read from memory, if they are here."""
        self.complete = len(self._frames) == frames

    def converted(self, wanted: Container[int], convert: Callable[[DecodedFrame], T]) -> Iterator[T]:
        """Yield what ``convert`` makes of the kept frames whose number is wanted."""
        assert self.complete
        for decoded in self._frames:
            if decoded.number in wanted:
                with self._lock:
                    made = convert(decoded)
                yield made
