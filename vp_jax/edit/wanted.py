"""What a first frame has to be, and what paints one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Wanted(NamedTuple):
    """What a first frame has to be.

    Attributes:
      frame_HWC: the source's, uint8 RGB.
      hole_HW: bool, True where it is painted anew, grown already.
      prompt: what the region shows.
      negative_prompt: what it does not show.
    """

    frame_HWC: np.ndarray
    hole_HW: np.ndarray
    prompt: str
    negative_prompt: str


Painter = Callable[[Wanted, Sequence[int]], Iterator[np.ndarray]]
"""Paints a picture for each seed, uint8 (H, W, 3), of the source's size."""
