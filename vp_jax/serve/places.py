"""Where the server keeps what. Only names of our own are ever joined to a path: random ids that we made.

    FOLDER/lock
    FOLDER/videos/ID/    state.json  video  frames.shelf
    FOLDER/masks/ID/     state.json  upload  mask.mkv  holes.shelf  overlay.shelf  sheet.png
    FOLDER/jobs/ID/      state.json  video  mask.mkv  source.shelf  result.mp4 ...  frames.shelf  arriving.shelf

A job has links to its video and its mask: neither a new mask nor a removed video changes a job.
"""

from __future__ import annotations

import os
from pathlib import Path

from vp_jax.errors import UserError
from vp_jax.jobs.outputs import outputs

VIDEOS, MASKS, JOBS = "videos", "masks", "jobs"
STATE, LOCK_NAME = "state.json", "lock"
VIDEO, FRAMES = "video", "frames"
UPLOAD, MASK, HOLES, OVERLAY, SHEET = "upload", "mask.mkv", "holes", "overlay", "sheet.png"
SOURCE, ARRIVING, REPORT = "source", "arriving", "report.html"


def default_home() -> Path:
    """The user's data directory (XDG Base Directory Specification), ``vp_jax/serve`` in it."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path("~/.local/share").expanduser()) / "vp_jax/serve"


def check_home(folder: Path) -> None:
    """Check that a folder is the server's, or new.

    Raises:
      UserError: it holds files, and no server made it.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"folder {folder}: is a file, expected a folder for videos and results")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LOCK_NAME).is_file():
        raise UserError(f"folder {folder}: holds files that no server wrote, expected a new or empty folder")


def result_files(folder: Path, format: str) -> dict[str, Path]:
    """What a job leaves, by the names of the API."""
    found = outputs(folder / f"result.{format}")
    return {**found._asdict(), "report": folder / REPORT}
