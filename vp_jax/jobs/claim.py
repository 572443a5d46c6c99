"""One run at a time writes to an output, and keeps its windows in a folder beside it.

    out.job/          made by a run with the output out.mp4
    out.job/lock      marks the folder as ours; held while a run is at work
    out.job/...       manifest and finished windows, see `vp_jax.jobs.manifest` and `vp_jax.jobs.store`

Only files that runs write are ever removed. A folder of this name without our mark is somebody else's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from vp_jax.errors import UserError
from vp_jax.files import clear_left_behind, locked
from vp_jax.jobs.outputs import job_folder

LOCK = "lock"
_OURS = re.compile(r"(window|states)_\d{4,}\.safetensors|step\.safetensors|manifest\.json|comparison\.mp4")


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[Path]:
    """Context in which no other run writes to ``out``; yields the folder for its windows.

    The folder stays if it holds any; `clear` removes them.

    Raises:
      UserError: another run is at work, or the folder is not ours or cannot be created.
    """
    folder = job_folder(out)
    check_ours(folder)
    missing = [parent for parent in folder.parents if not parent.exists()]
    busy = f"another run is writing {out}: wait until it ends, or choose another `out`"
    try:
        with locked(folder / LOCK, busy):
            try:
                yield folder
            finally:
                clear_left_behind(folder)
                if {path.name for path in folder.iterdir()} <= {LOCK}:
                    (folder / LOCK).unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):  # not empty: windows, or results
            for created in (folder, *missing):
                created.rmdir()


def check_ours(folder: Path) -> None:
    """Check that the job folder of an output is ours, or does not exist yet.

    Raises:
      UserError: a file, a link, or a folder that no run made.
    """
    mark = folder / LOCK
    ours = folder.is_dir() and not folder.is_symlink() and mark.is_file() and not mark.is_symlink()
    ours = ours and mark.stat().st_size == 0  # a lock of somebody else's may hold something
    empty = folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())  # killed before it had its lock
    if (folder.exists() or folder.is_symlink()) and not (ours or empty):
        raise UserError(f"{folder} stands where windows are kept, and no run made it: move it, or choose another `out`")


def files_of_runs(folder: Path) -> list[Path]:
    """What runs wrote in ``folder``, by its names; the rest is a user's."""
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if _OURS.fullmatch(path.name) and not path.is_dir()]


def clear(folder: Path) -> None:
    """Remove the windows in ``folder`` and their manifest; what runs do not write stays."""
    for path in files_of_runs(folder):
        path.unlink()
