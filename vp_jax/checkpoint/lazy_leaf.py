"""An array that is made when it is written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class LazyLeaf:
    """An array that exists only while it is written: ``read`` makes it, `stream_params` drops it again."""

    shape: tuple[int, ...]
    dtype: Any
    read: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * int(np.dtype(self.dtype).itemsize)
