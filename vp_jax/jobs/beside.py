"""Work on the frames of a result in a thread beside the sampling of later ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """Runs a function in a thread; it is given an iterator that yields a number for each frame that is ready.

    A context manager: where it is left early, the iterator ends and the function has to return.

    Args:
      work: the function.
    """

    def __init__(self, work: Callable[[Iterator[int]], T]) -> None:
        self._ready, self._left = threading.Semaphore(0), False
        self._pool = ThreadPoolExecutor(1, "beside")
        self._work = self._pool.submit(work, self._numbers())

    def __enter__(self) -> Beside[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._ready.release()
        self._pool.shutdown()

    def ready(self, frames: int) -> None:
        """So many more frames are ready. Raises what the function raised, if it failed."""
        if frames:
            self._ready.release(frames)
        if self._work.done():
            self._work.result()

    def finish(self) -> T:
        """What the function returns, once it has seen all its frames. Raises what it raised."""
        return self._work.result()

    def _numbers(self) -> Iterator[int]:
        number = 0
        while True:
            self._ready.acquire()
            if self._left:
                return
            yield number
            number += 1
