"""Pictures by number, of which an array holds all and `Streamed` one.

A film of ten minutes in 1080p is 110 GB of pixels. Everything that takes frames in order (windows, pasting, pictures
for people) reads them through `Frames` and does not know which of the two it has.
"""

from __future__ import annotations

import abc
import operator
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from typing import Any, Protocol, overload

import numpy as np


class Frames(Protocol):
    """Pictures of one size, HWC or HW: a NumPy array, or `Streamed`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Their count, then the shape of one."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, index: Any, /) -> Any: ...


PictureReader = Callable[[Container[int]], Generator[np.ndarray, None, None]]
"""Yields those of its pictures, in order, whose number is in a container; it asks for each number once."""


SmallReader = Callable[[Container[int], tuple[int, int]], Generator[np.ndarray, None, None]]
"""A `PictureReader` that is given a height and width, too."""


class Streamed(Sequence[np.ndarray]):
    """`Frames` that are not all in memory.

    Attributes:
      shape: their count, then the shape of one.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Streamed: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Streamed:
        if isinstance(index, slice):
            return _Part(self, range(len(self))[index])
        return self.picture(range(len(self))[operator.index(index)])

    @abc.abstractmethod
    def picture(self, place: int) -> np.ndarray:
        """The picture at a place from 0."""

    def again(self) -> Streamed:
        """The same pictures for another reader, who need not go in step with the readers of these."""
        return self

    def reduced(self, height: int, width: int) -> Streamed:
        """The same pictures for another reader, of this smaller size where the source can give it, else as they are."""
        return self.again()

    def close(self) -> None:
        """Let go of the file and of the picture; reading opens it again."""


class _Part(Streamed):
    """Some pictures of others."""

    def __init__(self, frames: Streamed, places: range) -> None:
        super().__init__((len(places), *frames.shape[1:]))
        self._frames, self._places = frames, places

    def picture(self, place: int) -> np.ndarray:
        return self._frames.picture(self._places[place])

    def again(self) -> Streamed:
        return _Part(self._frames.again(), self._places)

    def reduced(self, height: int, width: int) -> Streamed:
        """See `Streamed`."""
        return _Part(self._frames.reduced(height, width), self._places)

    def close(self) -> None:
        self._frames.close()


class StreamedFrames(Streamed):
    """Pictures that are made when they are asked for; the last one is kept.

    Reading forward goes on where the last read ended; what is skipped is not converted. Reading backward starts again
    at the first picture. Parts (slices) share the place of what they are a part of.

    Args:
      read: see `PictureReader`.
      numbers: by which ``read`` knows the pictures, ascending.
      shape: of one picture.
      missing: makes the error for a number that ``read`` ends before.
      read_small: as ``read``, and takes a height and width to which pictures are reduced where that is cheaper; those
        that come in another size are of the size in ``shape``.
    """

    def __init__(
        self,
        read: PictureReader,
        numbers: range,
        shape: tuple[int, ...],
        missing: Callable[[int], Exception] = IndexError,
        read_small: SmallReader | None = None,
    ) -> None:
        super().__init__((len(numbers), *shape))
        self._read, self._numbers, self._missing, self._read_small = read, numbers, missing, read_small
        self._pictures: Generator[np.ndarray, None, None] | None = None
        self._wanted = _From(numbers)
        self._last: tuple[int, np.ndarray] | None = None

    def picture(self, place: int) -> np.ndarray:
        """See `Streamed`."""
        if self._last is None or place < self._last[0]:
            self.close()
            self._wanted = _From(self._numbers)
            self._pictures = self._read(self._wanted)
        elif place == self._last[0]:
            return self._last[1]
        assert self._pictures is not None
        self._wanted.first = self._numbers[place]
        picture = next(self._pictures, None)
        if picture is None:
            raise self._missing(self._numbers[place])
        self._last = place, picture
        if place + 1 == len(self):  # no decoder has to wait
            self._pictures.close()
        return picture

    def again(self) -> Streamed:
        """See `Streamed`."""
        return StreamedFrames(self._read, self._numbers, self.shape[1:], self._missing, self._read_small)

    def reduced(self, height: int, width: int) -> Streamed:
        """See `Streamed`."""
        small, (rows, columns) = self._read_small, self.shape[1:3]
        if small is None or height > rows or width > columns or (height, width) == (rows, columns):
            return self.again()
        shape = height, width, *self.shape[3:]
        return StreamedFrames(lambda wanted: small(wanted, (height, width)), self._numbers, shape, self._missing)

    def close(self) -> None:
        """See `Streamed`."""
        if self._pictures is not None:
            self._pictures.close()
        self._pictures, self._last = None, None


class _From:
    """The numbers of a range from ``first`` on, which moves on while pictures are read."""

    def __init__(self, numbers: range) -> None:
        self._numbers, self.first = numbers, 0

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number >= self.first and number in self._numbers


def mapped(frames: Frames, function: Callable[[int, np.ndarray], np.ndarray], shape: tuple[int, ...]) -> StreamedFrames:
    """Frames made of others, each when it is asked for.

    Args:
      frames: the others.
      function: takes the number of a frame and the frame.
      shape: of what it returns.
    """

    return _made(lambda number, given: function(number, given[number]), frames, len(frames), shape)


def cut_or_held(frames: Frames, count: int) -> Frames:
    """The first ``count`` frames; where there are fewer, the last one again and again."""
    missing = max(0, count - len(frames))
    if isinstance(frames, np.ndarray):
        return np.concatenate([frames[:count], np.repeat(frames[-1:], missing, axis=0)])

    return _made(lambda number, given: given[min(number, len(given) - 1)], frames, count, frames.shape[1:])


def again(frames: Frames) -> Frames:
    """See `Streamed.again`; an array has no place that readers share."""
    return frames.again() if isinstance(frames, Streamed) else frames


def _made(
    make: Callable[[int, Frames], np.ndarray], given: Frames, count: int, shape: tuple[int, ...]
) -> StreamedFrames:
    """Frames made by number, out of given ones that no other reader shares."""

    def read(wanted: Container[int]) -> Generator[np.ndarray, None, None]:
        own = again(given)
        try:
            for number in range(count):
                if number in wanted:
                    yield make(number, own)
        finally:
            if isinstance(own, Streamed):
                own.close()

    return StreamedFrames(read, range(count), shape)
