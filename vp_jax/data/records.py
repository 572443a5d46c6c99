"""The one record type of every data source, and what a source hands out before anything is decoded.

A source is a sequence of `Clip`s. A clip knows its name, caption and origin for free, its length and frame rate after
`open` (file headers only) and its pixels after `read`, which decodes just the frames it is asked for. `load` reads a
whole clip into a `Record`. Whatever is wrong with a clip raises `BadRecord`, which the loader logs and steps over.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class BadRecord(Exception):
    """One clip cannot be used. The message says what is wrong with it, in one line."""


@dataclass(frozen=True)
class ClipInfo:
    """Length in source frames and frame rate in frames per second (> 0) of a clip."""

    frames: int
    fps: float


@dataclass(frozen=True)
class Record:
    """A decoded clip. Frames uint8 [0, 255], masks uint8, 1 = hole; ``origin`` says which file and row it came from."""

    frames_FHWC: np.ndarray
    masks_FHW: np.ndarray
    caption: str
    fps: float
    id: str
    origin: str


class Clip(Protocol):
    """A clip that is not decoded yet. ``id`` is unique in its source."""

    @property
    def id(self) -> str: ...

    @property
    def origin(self) -> str: ...

    @property
    def caption(self) -> str: ...

    def open(self) -> ClipInfo:
        """Length and frame rate, from headers only. Raises `BadRecord`."""

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames FHWC uint8 and masks FHW uint8 {0, 1} of these ascending frame numbers. Raises `BadRecord`."""


Source = Sequence[Clip]


def load(clip: Clip, stride: int = 1) -> Record:
    """Every ``stride``-th frame of a clip; ``fps`` of the record is the rate after that. Raises `BadRecord`."""
    info = clip.open()
    frames_FHWC, masks_FHW = clip.read(np.arange(0, info.frames, stride))
    return Record(frames_FHWC, masks_FHW, clip.caption, info.fps / stride, clip.id, clip.origin)


def pack_masks(masks_FHW: np.ndarray) -> bytes:
    """Masks {0, 1} as deflated bits: about 1 % of their size for one object."""
    return zlib.compress(np.packbits(masks_FHW.astype(bool), axis=None).tobytes(), level=6)


def unpack_masks(packed: bytes, shape: Sequence[int]) -> np.ndarray:
    """Inverse of `pack_masks`: uint8 FHW of this shape. Raises `BadRecord` for damaged bytes."""
    count = int(np.prod(shape))
    try:
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    except zlib.error as error:
        raise BadRecord(f"packed mask is damaged: {error}") from error
    if len(bits) != (count + 7) // 8:
        raise BadRecord(f"packed mask holds {len(bits)} bytes, shape {tuple(shape)} needs {(count + 7) // 8}")
    return np.unpackbits(bits, count=count).reshape(tuple(shape))
