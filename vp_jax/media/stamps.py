"""Whether a source is still the one that was looked at: size and time of change of its files."""

from __future__ import annotations

from pathlib import Path

from vp_jax.errors import UserError
from vp_jax.media.images import image_files
from vp_jax.media.inputs import is_folder
from vp_jax.reading import reading, show

Stamps = tuple[tuple[int, int], ...]
"""Size and time of change of a file, or of each image of a folder."""


def stamps_of(path: str | Path) -> Stamps:
    """The stamps of a file or folder. `UserError` if it is gone."""
    with reading(path):
        states = [file.stat() for file in source_files(path)]
    return tuple((state.st_size, state.st_mtime_ns) for state in states)


def check_stamps(path: str | Path, stamps: Stamps) -> None:
    """Raises:
    UserError: the file or folder is another one than when ``stamps`` were taken.
    """
    if stamps_of(path) != stamps:
        raise UserError(f"{show(path)}: changed while it was used, start again")


def source_files(path: str | Path) -> list[Path]:
    """The files of a source: itself, or the images of a folder."""
    return image_files(path) if is_folder(path) else [Path(path)]
