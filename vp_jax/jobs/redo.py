"""One window of a kept job anew: the same job but for the seed or the prompt of that window.

The windows before it stay as they are, bit for bit. Those behind it are sampled again where windows continue one
another: an image-to-video model starts each from the last latents of the one before, and with a clip weight the ID
adapter looks at its states. Windows of a text-to-video model without clip weight stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.jobs.job import Job, Redo
from vp_jax.jobs.manifest import MANIFEST, Manifest
from vp_jax.jobs.outputs import job_folder
from vp_jax.reading import show

_PATHS = ("video", "mask", "affected", "out", "report", "prompt_embeds", "prompts")


def arguments_of(job: Job) -> dict[str, Any]:
    """The fields of a job as JSON values, with complete paths, for `redo_job`."""
    values = {field.name: getattr(job, field.name) for field in dataclasses.fields(job) if field.name != "redo"}
    for name in (*_PATHS, "checkpoint"):
        if isinstance(values[name], Path):
            values[name] = str(values[name].absolute())
    if job.picture is not None:
        values["first_frame"] = str(job.picture.absolute())
    values["loras"] = [[str(Path(path).absolute()), scale] for path, scale in job.loras]
    return {**values, "settings": dict(job.settings), "fresh": False, "preview": None}


def redo_job(out: Path, redo: Redo, changes: Mapping[str, Any] | None = None) -> Job:
    """The job that was kept beside ``out``, with one window to be made anew.

    Args:
      out: the result.
      redo: the window.
      changes: fields of the job that are given again; those that windows depend on have to be what they were.

    Raises:
      UserError: nothing is kept there, there is no such window, or another version kept the job.
    """
    folder = job_folder(out)
    stored = stored_manifest(folder)
    if not 1 <= redo.window <= len(stored.windows):
        raise UserError(f"redo_window {redo.window}: {show(folder)} has windows 1 to {len(stored.windows)}")
    try:
        return _job_of(stored.notes["arguments"], {**(changes or {}), "out": out, "redo": redo})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(
            f"redo_window: {show(folder / MANIFEST)} was written by another version ({reason}): run the job again"
        ) from error


def _job_of(arguments: Mapping[str, Any], changes: dict[str, Any]) -> Job:
    """The kept job with changes; any error of Python if its arguments are not those of `arguments_of`."""
    values = dict(arguments)
    settings = {**values["settings"], **changes.pop("settings", {})}
    values |= {"loras": tuple((Path(path), scale) for path, scale in values["loras"])}
    values |= {name: Path(values[name]) for name in _PATHS if values.get(name) is not None}
    if Path(values["checkpoint"]).is_absolute():  # no name of a packaged model
        values["checkpoint"] = Path(values["checkpoint"])
    return Job(**{**values, **changes, "settings": settings})


def stored_manifest(folder: Path) -> Manifest:
    """The manifest in the folder of a job that is to be changed.

    Raises:
      UserError: there is none, or it is damaged.
    """
    stored = Manifest.read(folder)
    if stored is None or not isinstance(stored.notes.get("arguments"), Mapping):
        raise UserError(
            f"redo_window: there is no {show(folder)} with the windows of an earlier run; run the job first"
        )
    return stored
