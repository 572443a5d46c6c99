"""Reading files that somebody else wrote: regular files only, and JSON within limits.

A pipe in the place of a file would block for ever, and Python's JSON reader accepts NaN, repeats a name in silence and
dies on deep nesting. Here each of these is one `UserError`.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from vp_jax.errors import UserError, escaped

MOST_JSON = 64 << 20
"""Bytes of the largest JSON file that is read: an index of 400,000 tensors."""

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Context in which ``path`` is read: an `OSError` in it becomes "cannot be read", never "cannot be written".

    Raises:
      UserError: the operating system refused.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{show(path)}: no such file") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null byte" not in str(error):
            raise
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UserError(f"{show(path)} cannot be read ({reason})") from error


def show(path: object) -> str:
    """A name for a message: control characters escaped, very long ones shortened."""
    text = escaped(str(path))
    return text if len(text) <= 300 else f"{text[:200]}...{text[-80:]}"


def check_regular(path: str | Path) -> Path:
    """``path``, if it is a regular file (or a link to one) that can be opened without waiting.

    Raises:
      UserError: nothing there, a folder, a pipe, a device or a socket, links in a circle, a name that cannot exist.
    """
    with reading(path):
        kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind != stat.S_IFREG:
        raise UserError(f"{show(path)} is {_KINDS.get(kind, 'a device')}: expected a regular file")
    return Path(path)


def is_regular(path: str | Path) -> bool:
    """Whether `check_regular` accepts ``path``."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def check_tree(folder: str | Path) -> dict[str, int]:
    """Bytes of every file below ``folder`` by its relative name, if all of them are regular files.

    Raises:
      UserError: a pipe, a device or a socket among them, links in a circle, or a folder that cannot be read.
    """
    sizes: dict[str, int] = {}
    waiting = [(Path(folder), "")]
    while waiting:
        place, prefix = waiting.pop()
        with reading(place):
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), f"{name}/"))
            else:
                check_regular(entry.path)
                with reading(entry.path):
                    sizes[name] = entry.stat().st_size
    return sizes


def read_bytes(path: str | Path, most: int = MOST_JSON) -> bytes:
    """The bytes of a regular file.

    Raises:
      UserError: it is not one, cannot be read, or is larger than ``most`` bytes.
    """
    check_regular(path)
    with reading(path), Path(path).open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UserError(f"{show(path)} is larger than {most / 2**20:g} MiB: this is not the file it should be")
    return data


def read_json(path: str | Path, expected: str = "a JSON object") -> dict[str, Any]:
    """The JSON object in a file, UTF-8 with or without a byte order mark.

    Args:
      path: the file.
      expected: what it should be, for the messages: "the config.json of the original checkpoint".

    Raises:
      UserError: missing, unreadable, not JSON, or JSON of another kind; a name given twice, NaN or infinity, and
        nesting that Python cannot follow.
    """
    return parse_json(read_bytes(path), show(path), expected)


def parse_json(data: bytes, name: str, expected: str) -> dict[str, Any]:
    """The JSON object in ``data``; ``name`` says where that is from, the rest is as in `read_json`."""
    values = parse_value(data, name, expected)
    if not isinstance(values, dict):
        raise UserError(f"{name} is not JSON with names and values but {_name(values)}: expected {expected}")
    return values


def parse_value(data: bytes, name: str, expected: str) -> Any:
    """The JSON value of any kind in ``data``; the rest is as in `parse_json`."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_no_repeats)
    except RecursionError as error:
        raise UserError(f"{name} is nested too deeply: expected {expected}") from error
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{name} is not JSON ({reason}): expected {expected}") from error


def _name(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} is given twice")
    return values
