"""Make the next items while the last ones are used: pasting beside encoding."""

from __future__ import annotations

import collections
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def ahead(items: Iterator[T], most: int = 3) -> Generator[T, None, None]:
    """The same items, of which up to ``most`` are made in advance by a thread; what making them raises is raised here.

    Args:
      items: nobody else takes any.
      most: that wait.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        waiting = collections.deque(pool.submit(next, items, _END) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, items, _END))
                yield item  # type: ignore[misc]
        finally:
            pool.shutdown(cancel_futures=True)
