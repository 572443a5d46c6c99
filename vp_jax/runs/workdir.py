"""The folder of a run: it holds that run alone, and one process at a time writes to it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.files import check_writable, locked, write_text
from vp_jax.provenance import commit, versions
from vp_jax.reading import check_regular, read_json

CONFIG, STARTS = "config.json", "starts.jsonl"


@contextlib.contextmanager
def claimed_workdir(folder: Path) -> Iterator[None]:
    """Context that locks the folder (created if missing) for this process.

    Raises:
      UserError: it cannot be created, holds something other than a run, or another process has it.
    """
    check_writable(folder)
    for name in (".lock", CONFIG, STARTS):
        if os.path.lexists(folder / name):
            check_regular(folder / name)
    if (folder / CONFIG).exists() and not _is_run(folder / CONFIG):
        raise UserError(f"workdir {folder} holds a {CONFIG} that no run of train.py wrote: choose another folder")
    busy = f"another process trains in {folder}: wait until it ends, or choose another folder"
    with locked(folder / ".lock", busy):
        yield


def write_config(folder: Path, text: str) -> None:
    """Write the settings of a run, all of them or none."""
    write_text(folder / CONFIG, text)


def record_start(folder: Path, values: Mapping[str, Any], step: int) -> None:
    """Note that a run starts or continues after ``step``: its settings, this code's commit and versions."""
    write_config(folder, json.dumps(values, indent=1) + "\n")
    try:
        with (folder / STARTS).open("a") as file:
            file.write(json.dumps({"step": step, "commit": commit(), "versions": versions()}) + "\n")
    except OSError as error:
        raise UserError(f"{folder / STARTS}: cannot be written ({error.strerror or error})") from error


def _is_run(file: Path) -> bool:
    try:
        return "checkpoints" in read_json(file)
    except UserError:
        return False
