"""The video inside the page: source and result in one picture, so that no player can show them out of step.

A landscape video has its result below the source, a portrait one right of it. The second panel begins at a multiple of
16 pixels: no block of the encoder holds both, so neither shows traces of the other. H.264 in 4:2:0, which phones play.

The page stays small: the longer side of a panel is at most 960 pixels, and both panels of all frames together have at
most 2.4e9 pixels, which makes long videos smaller. Below 240 pixels, or above 32 MB, the page refers to the files.
"""

from __future__ import annotations

import math
import queue
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from vp_jax.media.pictures import SMALL, fitted
from vp_jax.media.video_writer import write_video

LONGEST, SHORTEST = 960, 240
"""Pixels of a panel's longer side: the most, and what it is not reduced below."""
PAGE_PIXELS = 1_200_000_000
"""Of one panel, over all frames: 2300 frames of 960 x 540."""
PAGE_BYTES = 32 * 2**20
_QUALITY, _TINY_QUALITY = 23, 14
_KEYFRAMES = 24
"""Frames between key frames: a step back decodes no more than these."""
_BLOCK = 16
_WAITING = 4
"""Frames that may wait for the encoder."""


class Panel(NamedTuple):
    """Where source and result are in the picture, in pixels.

    Attributes:
      height, width: of each.
      down, right: place of the result; the source is at (0, 0).
      times: by which the pixels of a tiny video are repeated; 1 for others.
    """

    height: int
    width: int
    down: int
    right: int
    times: int = 1


class PageClip(NamedTuple):
    """The video of a page: bytes of an mp4 file, and where its panels are."""

    content: bytes
    panel: Panel


def panel_of(height: int, width: int, frames: int) -> Panel | None:
    """Panels for a video of this size; None if it is too long to be shown in a page."""
    longer = max(height, width)
    times = 4 if longer <= SMALL else 1
    scale = min(times, LONGEST / longer, math.sqrt(PAGE_PIXELS / (frames * height * width)))
    if scale < 1 and scale * longer < SHORTEST:
        return None
    times = times if scale == times else 1
    rows, columns = (max(2, 2 * round(side * scale / 2)) for side in (height, width))
    if columns >= rows:
        return Panel(rows, columns, -(-rows // _BLOCK) * _BLOCK, 0, times)
    return Panel(rows, columns, 0, -(-columns // _BLOCK) * _BLOCK, times)


def both(source_HWC: np.ndarray, result_HWC: np.ndarray, panel: Panel) -> np.ndarray:
    """One picture of both: uint8, edges repeated between the panels."""
    size = panel.down + panel.height, panel.right + panel.width
    out_HWC = np.zeros((*size, 3), np.uint8)
    for picture_HWC, top, left in ((source_HWC, 0, 0), (result_HWC, panel.down, panel.right)):
        if panel.times > 1:
            picture_HWC = picture_HWC.repeat(panel.times, axis=0).repeat(panel.times, axis=1)
        if picture_HWC.shape[:2] != (panel.height, panel.width):
            picture_HWC = fitted(picture_HWC, (panel.width, panel.height))
        out_HWC[top : top + panel.height, left : left + panel.width] = picture_HWC
    out_HWC[panel.height : panel.down] = out_HWC[panel.height - 1]
    out_HWC[:, panel.width : panel.right] = out_HWC[:, panel.width - 1 : panel.width]
    return out_HWC


class ClipWriter:
    """Takes the frames of source and result in turn and encodes them in a thread; a context manager.

    Args:
      panel: see `panel_of`.
      fps: frames per second.
    """

    def __init__(self, panel: Panel, fps: Fraction) -> None:
        self._panel, self._fps = panel, fps
        self._queue: queue.Queue[np.ndarray | None] = queue.Queue(_WAITING)
        self._pool, self._left = ThreadPoolExecutor(1, "page"), False

    def __enter__(self) -> ClipWriter:
        self._work = self._pool.submit(self._encode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._end()
        self._pool.shutdown()

    def add(self, source_HWC: np.ndarray, result_HWC: np.ndarray) -> None:
        """The next frame of both, uint8 RGB of the source's size."""
        self._put(both(source_HWC, result_HWC, self._panel))

    def finish(self) -> PageClip | None:
        """The video; None if it is too large for a page.

        Raises:
          UserError: it cannot be written.
        """
        self._end()
        content = self._work.result()
        return PageClip(content, self._panel) if content else None

    def _end(self) -> None:
        self._put(None)

    def _put(self, frame_HWC: np.ndarray | None) -> None:
        while not self._work.done():  # an encoder that failed takes no more; `finish` raises its error
            try:
                self._queue.put(frame_HWC, timeout=0.1)
                return
            except queue.Full:
                continue

    def _encode(self) -> bytes:
        quality = _TINY_QUALITY if self._panel.times > 1 else _QUALITY
        with tempfile.TemporaryDirectory(prefix="vp_jax_page") as folder:
            path = Path(folder) / "clip.mp4"
            write_video(path, self._frames(), self._fps, quality=quality, keyframes=_KEYFRAMES)
            return path.read_bytes() if path.stat().st_size <= PAGE_BYTES else b""

    def _frames(self) -> Iterator[np.ndarray]:
        while (frame_HWC := self._queue.get()) is not None and not self._left:
            yield frame_HWC
