"""Clips and records: what every data source offers, before and after decoding.

A source is a sequence of `Clip`s. A clip knows its name, caption and origin for free, its length and frame rate after
`open` (file headers only) and its pixels after `read`, which decodes only the requested frames. `load` reads a
complete clip into a `Record`. Anything wrong with a clip raises `BadRecord`, which the loader logs and skips.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vp_jax.errors import UserError

_DEFLATE = 1100
"""Bytes that a byte of a deflated stream can become, and a few more."""


class BadRecord(Exception):
    """One clip cannot be used. The message says what is wrong with it, in one line."""


@contextlib.contextmanager
def bad_record() -> Iterator[None]:
    """Context in which a reader's `UserError` becomes a `BadRecord` with the same message."""
    try:
        yield
    except UserError as error:
        raise BadRecord(str(error)) from error


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
    """A clip that is not decoded yet."""

    @property
    def id(self) -> str:
        """Name of the clip, unique in its source."""
        ...

    @property
    def origin(self) -> str:
        """The source that it comes from, for messages."""
        ...

    @property
    def caption(self) -> str:
        """Text of the clip."""
        ...

    def open(self) -> ClipInfo:
        """Length and frame rate, from headers only. Raises `BadRecord`."""

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames FHWC uint8 and masks FHW uint8 {0, 1} of these ascending frame numbers. Raises `BadRecord`."""


class Source(Protocol):
    """Clips by number, from 0."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Clip: ...


def load_record(clip: Clip, stride: int = 1) -> Record:
    """Every ``stride``-th frame of a clip; ``fps`` of the record is the rate after that. Raises `BadRecord`."""
    info = clip.open()
    frames_FHWC, masks_FHW = clip.read(np.arange(0, info.frames, stride))
    return Record(frames_FHWC, masks_FHW, clip.caption, info.fps / stride, clip.id, clip.origin)


def pack_masks(masks_FHW: np.ndarray) -> bytes:
    """Masks uint8 {0, 1} as deflated bits, frame by frame: about 1 % of their size for one object."""
    return zlib.compress(np.packbits(masks_FHW.reshape(len(masks_FHW), -1), axis=1).tobytes(), level=6)


def unpack_masks(packed: object, shape: Sequence[int], indices_F: np.ndarray) -> np.ndarray:
    """These frames of masks packed from this ``shape`` (F, H, W), uint8. Raises `BadRecord` for anything else."""
    frames, height, width = (int(size) for size in shape)
    size, numbers_F = frames * ((height * width + 7) // 8), np.asarray(indices_F)
    if not isinstance(packed, bytes):
        raise BadRecord("packed masks are missing")
    if size > _DEFLATE * len(packed):
        raise BadRecord(f"packed masks of {len(packed)} bytes cannot hold {(frames, height, width)}")
    if len(numbers_F) and not 0 <= numbers_F.min() <= numbers_F.max() < frames:
        raise BadRecord(f"frame {int(numbers_F.max())} of {frames} stored ones")
    unpacker = zlib.decompressobj()
    try:
        bits = np.frombuffer(unpacker.decompress(packed, size + 1), np.uint8)
    except zlib.error as error:
        raise BadRecord(f"packed masks are damaged: {error}") from error
    if len(bits) != size or not unpacker.eof:
        raise BadRecord(f"packed masks hold {len(bits)} bytes, which does not fit {(frames, height, width)}")
    kept = bits.reshape(frames, -1)[numbers_F]
    return np.unpackbits(kept, axis=1, count=height * width).reshape(-1, height, width)
