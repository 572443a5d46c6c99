"""What a run leaves behind: the names of its files, their safe placing, and the facts that let it be repeated."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from vp_jax.data.video_writer import check_folder, partial_path
from vp_jax.errors import UserError


class Outputs(NamedTuple):
    """``out.mp4``, ``out_comparison.mp4``, ``out_contact.png``, ``out.json``; a folder ``out`` names the same."""

    result: Path
    comparison: Path
    contact: Path
    record: Path


def beside(out: Path, end: str) -> Path:
    """``out.mp4`` and ``_mask.mkv`` -> ``out_mask.mkv``; for a folder ``out`` the same."""
    return out.with_name((out.stem if out.suffix else out.name) + end)


def outputs(out: Path) -> Outputs:
    """Names of a run's files beside ``out``."""
    return Outputs(out, *(beside(out, end) for end in ("_comparison.mp4", "_contact.png", ".json")))


def check_outputs(paths: Iterable[Path], sources: Iterable[Path]) -> None:
    """Check, before any work, that ``paths`` can be written without harm to the files that are read.

    Raises:
      UserError: a folder in the way or one that cannot be written to, or a source that would be overwritten.
    """
    whole = [source.resolve() for source in sources]
    for path in paths:
        check_folder(path)
        if path.suffix and path.is_dir():
            raise UserError(f"{path}: is a folder, expected a file name: move it, or choose another --out")
        if any(path.resolve() in (source, *source.parents) for source in whole):
            raise UserError(f"{path} would be overwritten: choose another --out")


def unfinished(out: Path) -> Path:
    """Hidden folder beside ``out`` for what an interrupted run has finished."""
    return out.with_name(f".{beside(out, '.windows').name}")


def place(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a temporary file beside ``path``, then move it there; the old file stays until then.

    Missing folders are made.

    Raises:
      UserError: the file cannot be written.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a result, and the device."""
    import jax  # late, so that mistakes on the command line are told at once

    packages = ("jax", "jaxlib", "flax", "numpy", "av", "pillow")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found, "device": jax.devices()[0].device_kind}


def commit() -> str:
    """Commit of the checkout that this code runs from, ``+`` behind it if files were changed; "" outside of one."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except OSError:  # no git on this machine
        return ""
