"""Many small pictures in two files, by number: written by one process, read by others while it writes.

    frames.shelf    the pictures, one behind another
    frames.index    one record of 20 bytes for each: number, place, length

A record is written behind its picture, so what the index names is complete. Each number comes once. The files are
replaced together when a new writer opens: readers look at the index again for each picture.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_RECORD = struct.Struct("<IQQ")
ENDS = (".shelf", ".index")


class ShelfWriter:
    """Context manager that begins the shelf ``path`` anew, without suffix in its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[BinaryIO] = []
        self._place = 0

    def __enter__(self) -> ShelfWriter:
        remove_shelf(self._path)
        self._files = [open(self._path.with_name(self._path.name + end), "xb") for end in ENDS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()

    def add(self, number: int, content: bytes) -> None:
        """Put a picture on the shelf."""
        pictures, index = self._files
        pictures.write(content)
        pictures.flush()
        index.write(_RECORD.pack(number, self._place, len(content)))
        index.flush()
        self._place += len(content)


def remove_shelf(path: Path) -> None:
    """Remove the files of a shelf, the index first."""
    for end in reversed(ENDS):
        path.with_name(path.name + end).unlink(missing_ok=True)


def link_shelf(path: Path, there: Path) -> None:
    """Give the files of a shelf a second name."""
    for end in ENDS:
        os.link(path.with_name(path.name + end), there.with_name(there.name + end))


def read_shelf(path: Path, number: int) -> bytes | None:
    """The picture of a number; ``None`` if it is not there, or not yet."""
    pictures, index = (path.with_name(path.name + end) for end in ENDS)
    try:
        with open(index, "rb") as records, open(pictures, "rb") as file:
            found = _find(records, number)
            if found is None:
                return None
            file.seek(found[0])
            return file.read(found[1])
    except FileNotFoundError:
        return None


def shelf_length(path: Path) -> int:
    """How many pictures a shelf holds."""
    return os.path.getsize(path.with_name(path.name + ENDS[1])) // _RECORD.size


def _find(records: BinaryIO, number: int) -> tuple[int, int] | None:
    """Place and length of the picture of a number; most shelves hold number k in record k."""
    count = os.fstat(records.fileno()).st_size // _RECORD.size
    if number < count:
        records.seek(number * _RECORD.size)
        key, place, length = _RECORD.unpack(records.read(_RECORD.size))
        if key == number:
            return place, length
    records.seek(0)
    table = {key: (place, length) for key, place, length in _RECORD.iter_unpack(records.read(count * _RECORD.size))}
    return table.get(number)
