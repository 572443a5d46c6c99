"""Frames at the size that tracking works at, with what is computed of them once, and windows of neighbouring frames."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

WORKING_PIXELS = 300_000
"""Larger frames are reduced to so many pixels for tracking, and their masks enlarged."""


class View:
    """One frame: ``rgb_HWC`` uint8 as tracking sees it, and ``scale``, its size as a share of the original's."""

    def __init__(self, number: int, frame_HWC: np.ndarray) -> None:
        height, width = frame_HWC.shape[:2]
        self.number, self.full_size = number, (height, width)
        self.scale = min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
        self.rgb_HWC = np.ascontiguousarray(frame_HWC)
        if self.scale < 1:
            size = max(16, round(width * self.scale)), max(16, round(height * self.scale))
            self.rgb_HWC = cv2.resize(self.rgb_HWC, size, interpolation=cv2.INTER_AREA)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that tracking works at."""
        return self.rgb_HWC.shape[0], self.rgb_HWC.shape[1]

    @functools.cached_property
    def grey_HW(self) -> np.ndarray:
        """Grey values, uint8."""
        return cv2.cvtColor(self.rgb_HWC, cv2.COLOR_RGB2GRAY)

    @functools.cached_property
    def lab_HWC(self) -> np.ndarray:
        """CIE Lab as OpenCV scales it, float32 0 to 255."""
        return lab_of(self.rgb_HWC)

    def enlarged(self, soft_HW: np.ndarray) -> np.ndarray:
        """A soft mask at the frame's own size, bool."""
        if self.scale < 1:
            height, width = self.full_size
            soft_HW = cv2.resize(soft_HW.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        return soft_HW > 0.5


def lab_of(rgb_HWC: np.ndarray) -> np.ndarray:
    """CIE Lab as OpenCV scales it, float32 0 to 255, of uint8 RGB."""
    return cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2LAB).astype(np.float32)


class Window(NamedTuple):
    """A frame and its neighbours by number, itself among them; fewer at both ends of a video."""

    now: View
    views: dict[int, View]


def with_neighbours(frames: Iterable[np.ndarray], reach: int) -> Iterator[Window]:
    """Each frame with up to ``reach`` neighbours on each side; so many frames are read ahead."""
    views: dict[int, View] = {}
    number = 0
    for read, frame_HWC in enumerate(frames):
        views[read] = View(read, frame_HWC)
        if read >= reach:
            yield Window(views[number], views)
            number += 1
            views.pop(number - reach - 1, None)
    while number in views:
        yield Window(views[number], views)
        number += 1
        views.pop(number - reach - 1, None)
