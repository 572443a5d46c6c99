"""Digests of what a folder holds, in its ``digests.json``: what is read is compared with what was written.

The file has three tables: ``arrays`` of ``params/`` (`vp_jax.checkpoint.array_digests`), other ``files`` (SHA-256),
and the ``sizes`` of the files below ``params/``. Folders without one, of older versions or made by hand, are read
unverified.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.reading import check_regular, read_json, reading, show
from vp_jax.schema import listed

FILE = "digests.json"
FORMAT = 1


class Damaged(UserError):
    """What is stored cannot be read, or is not what was written."""


class Digests(NamedTuple):
    """What ``digests.json`` holds; ``sizes`` are bytes of files below ``params/``."""

    arrays: dict[str, str]
    files: dict[str, str]
    sizes: dict[str, int]


def of_json(values: Any) -> str:
    """SHA-256 of JSON values, whatever their layout in a file."""
    text = json.dumps(json.loads(json.dumps(values)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file; of JSON that of its values, whatever an editor or Git does to line ends.

    Raises:
      UserError: it is no regular file, or cannot be read.
    """
    check_regular(path)
    if path.suffix == ".json":
        with contextlib.suppress(UserError):
            return of_json(read_json(path))
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_digest(folders: Iterable[Path]) -> str:
    """Digest of model folders: of the digests that they carry, or of their files by name, size and time."""
    total = hashlib.sha256()
    for folder in folders:
        if (folder / FILE).is_file():
            total.update(of_file(folder / FILE).encode())
            continue
        for file in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
            stat = file.stat()
            total.update(f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    return total.hexdigest()


def write_digests(folder: Path, digests: Digests) -> None:
    """Write the ``digests.json`` of ``folder``."""
    write_text(folder / FILE, json.dumps(to_tables(digests), indent=1, sort_keys=True) + "\n")


def read_digests(folder: Path) -> Digests | None:
    """The digests of ``folder``, ``None`` if it has none: written by an older version, or by hand.

    Raises:
      Damaged: the file is there, but is not what this module writes.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    try:
        return from_tables(read_json(path, "the digests of this folder"))
    except (UserError, ValueError) as error:
        reason = "is damaged" if isinstance(error, ValueError) else str(error).removeprefix(f"{show(path)} ")
        raise Damaged(
            f"{show(path)} {reason}: copy the folder again, or delete this file to read the others unverified"
        ) from error


def from_tables(values: Mapping[str, Any]) -> Digests:
    """`Digests` out of JSON values.

    Raises:
      ValueError: not what this module writes.
    """
    tables = [values.get(name) for name in Digests._fields]
    if values.get("format") != FORMAT or set(values) != {"format", *Digests._fields}:
        raise ValueError(f"format {values.get('format')!r}, expected {FORMAT}")
    for table, kind in zip(tables, (str, str, int)):
        if not isinstance(table, dict) or not all(isinstance(value, kind) for value in table.values()):
            raise ValueError("a table of digests is expected")
    return Digests(*tables)  # type: ignore[arg-type]


def to_tables(digests: Digests) -> dict[str, Any]:
    """Inverse of `from_tables`."""
    return {"format": FORMAT, **digests._asdict()}


def record_files(folder: str | Path, names: Iterable[str] | None = None) -> None:
    """Add files of ``folder`` to its digests.

    Args:
      folder: where they are.
      names: relative to it; ``None``: all files that lie directly in it.
    """
    folder = Path(folder)
    if names is None:
        names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != FILE)
    known = read_digests(folder) or Digests({}, {}, {})
    write_digests(folder, known._replace(files=known.files | {name: of_file(folder / name) for name in names}))


def check_file(path: str | Path) -> None:
    """Compare a file with the digests of its folder, if they speak of it.

    Raises:
      Damaged: it is not what was written.
    """
    path = Path(path)
    known = read_digests(path.parent)
    want = known.files.get(path.name) if known else None
    if want and of_file(path) != want:
        raise Damaged(
            f"{show(path)} is not what was written: copy or convert it again; "
            f"if you changed it on purpose, delete {FILE} next to it"
        )


def wrong_sizes(stored: Mapping[str, int], found: Mapping[str, int]) -> Iterator[str]:
    """Files that are missing or have another size, one line each."""
    for name, size in stored.items():
        if found.get(name) != size:
            yield f"{name} has {found.get(name, 'no')} bytes, expected {size}"


def raise_if(faults: list[str], what: str, then: str) -> None:
    """Raises `Damaged` with ``faults``, if there are any."""
    if faults:
        raise Damaged(f"{what} ({listed(faults, 3)}): {then}")
