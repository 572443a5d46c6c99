"""Opening media files: regular files only, and without their names.

Readers get an open file, never a name: libraries that parse names themselves read ``a:b.mp4`` as a protocol and
``mask_%d.png`` as a pattern.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from vp_jax.errors import UserError
from vp_jax.reading import check_regular, read_bytes, reading, show

MOST_TEXT = 16 << 20
"""Bytes that a text file (caption, table) may have."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading in binary; the file object has no name.

    Raises:
      UserError: there is no such file, it is a folder, pipe, socket or device, or it cannot be opened.
    """
    check_regular(path)
    with reading(path):
        return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), "rb")


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder. `UserError` if there is nothing of that name."""
    with reading(path):
        return stat.S_ISDIR(os.stat(path).st_mode)


def list_folder(path: str | Path) -> list[Path]:
    """Everything in a folder, sorted by name. `UserError` if it cannot be listed."""
    with reading(path):
        return sorted(Path(path).iterdir())


def read_text(path: str | Path) -> str:
    """A text file in UTF-8, with or without a byte order mark, its line ends as ``\\n``.

    Raises:
      UserError: it cannot be read, is in another encoding, or is larger than 16 MiB.
    """
    content = read_bytes(path, MOST_TEXT)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{show(path)}: not UTF-8 but UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except ValueError as error:
        raise UserError(f"{show(path)}: not UTF-8 ({reason(error)}); save it as UTF-8") from error


def natural_order(file: Path) -> list[tuple[int, int, str]]:
    """Key to sort files by, numbers in their names by value: ``frame2.png`` before ``frame10.png``."""
    return [(0, int(s), "") if s.isdecimal() else (1, 0, s) for s in re.split(r"([0-9]+)", file.name) if s]


def reason(error: BaseException) -> str:
    """First line of a library's message, without its errno and file name."""
    text = (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\s+", " ", text).strip().rstrip(".")[:120] or type(error).__name__
