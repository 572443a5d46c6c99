"""The files that a sampling job leaves behind: their names, and the check that none overwrites what is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from vp_jax.errors import UserError
from vp_jax.files import beside, check_writable
from vp_jax.reading import reading

COMPARISON = "comparison.mp4"
"""Where the comparison grows while the job runs, in the job's folder."""


class Outputs(NamedTuple):
    """``out.mp4``, ``out_comparison.mp4``, ``out_contact.png``, ``out.json``; a folder ``out`` names the same."""

    result: Path
    comparison: Path
    contact: Path
    record: Path


def outputs(out: Path) -> Outputs:
    """Names of a run's files beside ``out``."""
    return Outputs(out, *(beside(out, end) for end in ("_comparison.mp4", "_contact.png", ".json")))


def check_outputs(paths: Iterable[Path], sources: Iterable[Path]) -> None:
    """Check, before any work, that ``paths`` can be written without harm to the files that are read.

    Raises:
      UserError: a folder in the way or one that cannot be written to, or a source that would be overwritten.
    """
    read = [_resolved(source) for source in sources]
    for path in paths:
        check_writable(path)
        if path.suffix and path.is_dir():
            raise UserError(f"{path}: is a folder, expected a file name: move it, or choose another `out`")
        if any(path.resolve() in (source, *source.parents) for source in read):
            raise UserError(f"{path} would be overwritten: choose another `out`")
        if path.suffix == ".png" and any(path.resolve().parent == source for source in read):
            raise UserError(f"{path} would become one of the frames that are read: choose another `out`")


def _resolved(source: Path) -> Path:
    with reading(source):
        return source.resolve()


def job_folder(out: Path) -> Path:
    """``out.mp4`` -> ``out.job``: the folder beside ``out`` for the job's windows; see `vp_jax.jobs.claim`."""
    return beside(out, ".job")
