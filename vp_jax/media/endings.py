"""Whether a film file ends where its own outermost boxes say: what tells a stale count from a file that was cut.

Recorders write the number of frames and the duration first and correct them at the end, if they live that long. A file
with such a stale promise is complete: players show it. A file that was cut in a copy promises the same, but its
outermost size points behind its end. Matroska and WebM state the size of their segment, AVI that of its RIFF chunks.
Formats that state neither, mp4 among them, whose index is exact, are never taken for intact here.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from vp_jax.media.inputs import open_regular

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def ends_intact(source: Path | bytes) -> bool:
    """Whether a file states how long it is, and is that long. `UserError` if it cannot be opened."""
    with contextlib.ExitStack() as stack:
        file = io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(open_regular(source))
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        end = _matroska_end(file) if file.read(4) == _EBML else _riff_end(file, length)
        return end is not None and end <= length


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
