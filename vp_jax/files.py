"""Names of files and the one way to write them: complete under a temporary name, then moved into place."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vp_jax.errors import UserError


def beside(out: Path, end: str) -> Path:
    """``out.mp4`` and ``_mask.mkv`` -> ``out_mask.mkv``; a folder ``out`` gives the same."""
    return out.with_name((out.stem if out.suffix else out.name) + end)


def partial_path(path: Path) -> Path:
    """Where ``path`` is written until it is complete."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def check_writable(path: Path) -> None:
    """Check, before any work, that ``path`` can be written.

    Raises:
      UserError: no name, a name that is too long, or a folder that cannot be created or written to.
    """
    if not path.name:
        raise UserError(f"{path}: names no file, expected one such as out.mp4, or a name for a folder of PNGs")
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            partial_path(path).lstat()
        parent = next(p for p in path.absolute().parents if p.exists())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UserError(f"{path}: {parent} is not a folder that can be written to")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context that writes the file or folder ``path``: yields a temporary path beside it, which becomes ``path``.

    Nothing of ``path`` changes before the end of the context, and nothing at all if it raises. Missing parent folders
    are created, and what a killed process left under the temporary name is removed.

    Raises:
      UserError: the file cannot be written.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
        yield partial
        if partial.is_dir() and path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            _remove(partial)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` write ``path``, all of it or nothing; see `replacing`."""
    with replacing(path) as partial:
        write(partial)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, all of it or nothing; see `replacing`."""
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def replace_parts(new: Path, folder: Path) -> None:
    """Move the folders in ``new`` to ``folder``, over those of the same name; ``new`` is gone afterwards."""
    if not folder.exists():
        new.rename(folder)
        return
    for part in sorted(new.iterdir()):
        if (folder / part.name).exists():
            shutil.rmtree(folder / part.name)
        part.rename(folder / part.name)
    new.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
