"""Whether a film file is as long as its own outermost boxes say, and its boxes follow each other without a gap.

The first tells a stale count from a file that was cut.

Recorders write the number of frames and the duration first and correct them at the end, if they live that long. A file
with such a stale promise is complete: players show it. A file that was cut in a copy promises the same, but its
outermost size points behind its end. Matroska and WebM state the size of their segment, AVI that of its RIFF chunks.
Formats that state neither, mp4 among them, whose index is exact, are never taken for intact here.

Where the elements of a Matroska file do not follow each other, FFmpeg leaves out all frames up to the next cluster, or
to the end, without an error.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vp_jax.media.inputs import open_regular

_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"


@contextlib.contextmanager
def _measured(source: Path | bytes) -> Iterator[tuple[BinaryIO, int]]:
    """A file, at its beginning, and its length in bytes. `UserError` if it cannot be opened."""
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source) as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        yield file, length


def ends_intact(source: Path | bytes) -> bool:
    """Whether a file states how long it is, and is that long. `UserError` if it cannot be opened."""
    with _measured(source) as (file, length):
        end = _matroska_end(file) if file.read(4) == _EBML else _riff_end(file, length)
        return end is not None and end <= length


def is_broken_inside(source: Path | bytes) -> bool:
    """Whether bytes of a Matroska file are no elements, where elements should be; false for other files.

    Only headers are read. Nothing is said of what is behind the end of the file, see `ends_intact`.
    """
    with _measured(source) as (file, length):
        if file.read(4) != _EBML or (header := _size(file)) is None:
            return False
        at, end, whole = file.tell() + header, length, False
        while at < end:
            file.seek(at)
            first = file.read(1)
            if first[0] < 0x10:  # the names of elements have 1 to 4 bytes (RFC 8794, section 5)
                return True
            name = first + file.read(8 - first[0].bit_length())
            size = _size(file)
            inside = name in (_SEGMENT, _CLUSTER)  # what is in them is looked at; they may not know their size
            if size is None and not inside:
                return file.tell() < end
            behind = file.tell() + (size or 0)
            if name == _SEGMENT and size is not None:
                end, whole = min(end, behind), behind <= length
            at = file.tell() if inside else behind
        return whole and at > end


def _matroska_end(file: BinaryIO) -> int | None:
    """Byte at which the segment ends; None for a live recording, which does not know."""
    header = _size(file)
    if header is None:
        return None
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _SEGMENT:
        return None
    size = _size(file)
    return None if size is None else file.tell() + size


def _size(file: BinaryIO) -> int | None:
    """An EBML size (RFC 8794, section 4): leading zeros count its bytes, all ones mean unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    count = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(count - 1), "big") & ~(1 << 7 * count)
    return None if value == (1 << 7 * count) - 1 else value


def _riff_end(file: BinaryIO, length: int) -> int | None:
    """Byte at which the last RIFF chunk ends (large AVI files have several); None if there is none."""
    end = None
    while (at := end or 0) < length:
        file.seek(at)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if name != b"RIFF" or size in (0, 0xFFFFFFFF):
            break
        end = at + 8 + size + size % 2
    return end
