"""Opening input files: only regular files are opened, and every failure is one line.

A named pipe would hang a program, a device never ends, and names may be too long, hold a NUL or be links in a circle.
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

MOST_TEXT = 16 << 20
"""Bytes that a text file (caption, table) may have."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading in binary.

    Raises:
      UserError: there is no such file, it is a folder, pipe, socket or device, or it cannot be opened.
    """
    try:
        # without O_NONBLOCK, opening a pipe that nobody writes to waits for ever
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise _missing(path, error) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise UserError(f"{shown(path)}: is {kind}, expected a regular file")
    return os.fdopen(descriptor, "rb")


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder. `UserError` if there is nothing of that name."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        raise _missing(path, error) from error


def list_folder(path: str | Path) -> list[Path]:
    """Everything in a folder, sorted by name. `UserError` if it cannot be listed."""
    try:
        return sorted(Path(path).iterdir())
    except (OSError, ValueError) as error:
        raise _missing(path, error) from error


def read_text(path: str | Path) -> str:
    """A text file in UTF-8, with or without a byte order mark, its line ends as ``\\n``.

    Raises:
      UserError: it cannot be read, is in another encoding, or is larger than 16 MiB.
    """
    with open_regular(path) as file:
        try:
            content = file.read(MOST_TEXT + 1)
        except OSError as error:
            raise _missing(path, error) from error
    if len(content) > MOST_TEXT:
        raise UserError(f"{shown(path)}: larger than {MOST_TEXT >> 20} MiB, expected a text file")
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
    try:
        if encoding:
            raise ValueError(f"it starts with the byte order mark of {encoding}")
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except ValueError as error:
        raise UserError(f"{shown(path)}: not UTF-8 ({reason(error)}); save it as UTF-8") from error


def natural_order(file: Path) -> list[tuple[int, int, str]]:
    """Key to sort files by, numbers in their names by value: ``frame2.png`` before ``frame10.png``."""
    return [(0, int(s), "") if s.isdecimal() else (1, 0, s) for s in re.split(r"([0-9]+)", file.name) if s]


def reason(error: BaseException) -> str:
    """First line of a library's message, without its errno and file name."""
    text = (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\s+", " ", text).strip().rstrip(".")[:120] or type(error).__name__


def shown(path: str | Path) -> str:
    """A path as an error shows it: unprintable characters escaped, very long names shortened in the middle."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(path))
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]}"


def _missing(path: str | Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UserError(f"{shown(path)}: no such file or folder")
    return UserError(f"{shown(path)}: cannot be read ({reason(error)})")
