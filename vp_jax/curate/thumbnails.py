"""Small pictures of clips for the page, as data addresses."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vp_jax.curate.frames import sampled
from vp_jax.curate.labels_video import read_labels
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.sources import ADDRESSES
from vp_jax.errors import UserError
from vp_jax.media.pictures import evenly

_WIDTH, _STRIP = 180, 4
_EARLY = 12
"""Frames into a video at which it is shown: far enough from a fade, and soon decoded."""
_COLOURS = ((230, 60, 60), (60, 130, 230), (60, 190, 90), (230, 180, 40), (170, 80, 220))


class Thumbnails:
    """Pictures of clips; files that cannot be read have none.

    Args:
      root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, str] = {}

    def one(self, clip: ClipRecord) -> str:
        """A frame of a clip as a data address, "" if it cannot be read."""
        if clip.video not in self._made:
            self._made[clip.video] = self._one(clip)
        return self._made[clip.video]

    def strip(self, clip: ClipRecord) -> str:
        """Frames of a clip in two rows, its masks tinted, as a data address; "" if it cannot be read."""
        try:
            numbers = evenly(clip.frames, _STRIP + 2)[1:-1] or [0]
            frames = sampled(self._root / clip.video, numbers)
            labels = dict(zip(numbers, read_labels(self._root / clip.masks, frozenset(numbers))))
        except (UserError, OSError):
            return ""
        pictures = [_small(tinted(frames[number], labels[number]), 2 * _WIDTH) for number in numbers]
        rows = [np.concatenate(pictures[at : at + 2], axis=1) for at in range(0, len(pictures) - len(pictures) % 2, 2)]
        return _address(np.concatenate(rows or pictures[:1], axis=0))

    def _one(self, clip: ClipRecord) -> str:
        if clip.video.startswith(ADDRESSES):
            return ""
        number = min(_EARLY, max(0, clip.frames - 1))
        try:
            frames = sampled(self._root / clip.video, [number]) or sampled(self._root / clip.video, [0])
        except (UserError, OSError):
            return ""
        return _address(_small(next(iter(frames.values())), _WIDTH)) if frames else ""


def tinted(frame_HWC: np.ndarray, labels_HW: np.ndarray) -> np.ndarray:
    """A frame uint8 with each thing tinted and outlined in a colour of its own."""
    out_HWC = frame_HWC.copy()
    for thing in range(1, int(labels_HW.max(initial=0)) + 1):
        mask_HW = labels_HW == thing
        if mask_HW.any():
            colour = np.array(_COLOURS[(thing - 1) % len(_COLOURS)], np.float32)
            out_HWC[mask_HW] = (0.55 * out_HWC[mask_HW] + 0.45 * colour).astype(np.uint8)
            outlines, _ = cv2.findContours(mask_HW.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            cv2.drawContours(out_HWC, outlines, -1, colour.tolist(), max(1, frame_HWC.shape[0] // 200))
    return out_HWC


def _small(frame_HWC: np.ndarray, width: int) -> np.ndarray:
    height = max(1, round(frame_HWC.shape[0] * width / frame_HWC.shape[1]))
    return np.asarray(cv2.resize(frame_HWC, (width, height), interpolation=cv2.INTER_AREA))


def _address(frame_HWC: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame_HWC)).save(file, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
