"""The tasks that know jobs: a dry run, a job to its end, one window of it anew."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from vp_jax.edit.first_frame import FILLED, filled, paint
from vp_jax.edit.instruction import REMOVED
from vp_jax.edit.plan import GROWTH_OF_EDIT
from vp_jax.edit.wanted import Wanted
from vp_jax.errors import UserError
from vp_jax.jobs.dry_run import dry_run
from vp_jax.jobs.events import Arrived, Done, Estimate, JobEvent, MediaRead, Note, Planned
from vp_jax.jobs.job import Job, Redo
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.redo import redo_job
from vp_jax.jobs.run import run as run_job
from vp_jax.media.masks import dilate, stream_masks
from vp_jax.media.video import read_frames, video_pictures
from vp_jax.serve import places
from vp_jax.serve.schemas import EstimateReply, JobRequest, JobState, RedoRequest, WindowState
from vp_jax.serve.shelf import ShelfWriter
from vp_jax.serve.tasks import Update, jpeg, names_hidden

_SETTINGS = ("steps", "guidance", "seed", "clip_weight")
_FIELDS = ("task", "prompt", "negative_prompt", "mask_dilate", "invert_mask", "feather", "fit", "extend")
_MASK_FIELDS = ("mask_dilate", "invert_mask")
_QUIET = ("video", "times", "tags")
"""Topics of notes that a page need not show: the record of the job has them all."""


def job_for(request: JobRequest, checkpoint: str | Path, video: Path, mask: Path | None, folder: Path) -> Job:
    """The job that a request describes.

    Args:
      request: what is asked for.
      checkpoint: of the server.
      video: a file.
      mask: a file, if there is one.
      folder: of the results.

    Raises:
      UserError: what cannot work, in one line.
    """
    files = places.result_files(folder, request.format)
    values: dict[str, Any] = {name: getattr(request, name) for name in _FIELDS}
    if mask is None:
        values = {name: value for name, value in values.items() if name not in _MASK_FIELDS}
    settings = {name: value for name in _SETTINGS if (value := getattr(request, name)) is not None}
    return Job(
        video=video,
        mask=mask,
        out=files["result"],
        report=files["report"],
        first_frame="original" if request.first_frame == "original" else None,
        checkpoint=checkpoint,
        settings=settings,
        keep_job=True,
        **values,
    )


def estimate_job(
    request: JobRequest, checkpoint: str | Path, video: Path, mask: Path | None, folder: Path
) -> Generator[Update, None, None]:
    """Read a job's files and find out what it will need; nothing is written.

    Raises:
      UserError: what the job would raise before it samples.
    """
    found: dict[str, Any] = {"notes": []}
    with names_hidden(video.parent, folder, *([mask.parent] if mask else [])):
        for event in dry_run(job_for(request, checkpoint, video, mask, folder)):
            if isinstance(event, MediaRead):
                height, width = event.size
                found |= {"frames": event.frames, "height": height, "width": width}
                found |= {"hole_share": event.hole_share, "hole_frames": event.hole_frames}
            elif isinstance(event, Note):
                found["notes"].append(plain(event.text))
            elif isinstance(event, Planned):
                found |= {"model_height": event.size[0], "model_width": event.size[1]}
                found |= {"windows": len(event.plan.windows), "steps": event.settings.steps}
            elif isinstance(event, Estimate):
                found |= {"memory": event.peak, "memory_weights": event.weights, "memory_at": event.at}
                found |= {"disk": event.disk, "seconds": event.seconds}
            yield {}
    yield {"reply": EstimateReply.model_validate(found).model_dump()}


def run_task(
    folder: Path, state: JobState, checkpoint: str | Path, loader: ModelCache
) -> Generator[Update, None, None]:
    """Run a job, or go on with it; what is finished of it stays when this is closed.

    Args:
      folder: of the job.
      state: what is asked; with ``redo``, one window of it is made anew.
      checkpoint: of the server.
      loader: keeps the model for the next job.

    Raises:
      UserError: what the job raises.
    """
    with names_hidden(folder):
        mask = folder / places.MASK
        job = job_for(state.request, checkpoint, folder / places.VIDEO, mask if mask.exists() else None, folder)
        if state.redo is not None:
            job = _redo(job, state.redo)
        elif state.request.first_frame == FILLED:
            job = _filled(job)
        yield {"state": "running", "notes": [], "error": None, "arrived": 0, "eta": None, "done": 0, "label": "reading"}
        pace = _Pace()
        with ShelfWriter(folder / places.ARRIVING) as arriving, contextlib.closing(run_job(job, loader)) as events:
            notes: list[str] = []
            for event in events:
                yield _report(event, pace, arriving, notes)
        yield {"label": "making pictures of the result"}
        yield from _show_result(job, folder)
    yield {"state": "done", "label": "", "eta": None, "redo": None, "version": state.version + 1}


def _filled(job: Job) -> Job:
    """The job, going on from a picture of frame 0 whose hole is filled from its rim."""
    assert job.mask is not None
    holes = stream_masks(job.mask)
    hole_HW = holes[0] ^ job.invert_mask
    if not hole_HW.any():
        raise UserError("first frame filled from around the mask: it is empty in frame 1, keep that frame as it is")
    grown = round(GROWTH_OF_EDIT[REMOVED] * min(hole_HW.shape)) if job.task == "remove" else 0
    grown = grown if job.mask_dilate is None else job.mask_dilate
    frame_HWC = read_frames(job.video, [0])[0]
    wanted = Wanted(frame_HWC, dilate(hole_HW[None], grown)[0], job.prompt or "", job.negative_prompt or "")
    painted = paint(FILLED, wanted, [0], job.out, filled)
    return dataclasses.replace(job, first_frame=str(painted.chosen(1)))


def _redo(job: Job, redo: RedoRequest) -> Job:
    return redo_job(job.out, Redo(redo.window, redo.seed, redo.prompt), {"report": job.report})


def _report(event: JobEvent, pace: _Pace, arriving: ShelfWriter, notes: list[str]) -> Update:
    """What of an event the page shows."""
    if isinstance(event, MediaRead):
        height, width = event.size
        return {"frames": event.frames, "height": height, "width": width, "fps": float(event.fps), "label": "loading"}
    if isinstance(event, Planned):
        length = event.settings.window
        windows = [WindowState(first=first, frames=min(length, event.frames - first)) for first in event.plan.windows]
        return {
            "windows": [window.model_dump() for window in windows],
            "steps": event.settings.steps,
            "total": event.settings.steps * len(windows),
        }
    if isinstance(event, Note):
        if event.topic not in _QUIET:
            notes.append(plain(f"{event.topic}: {event.text}"))
        return {"notes": list(notes)}
    if isinstance(event, Arrived):
        for number, frame_HWC in enumerate(event.frames_FHWC, event.start):
            arriving.add(number, jpeg(frame_HWC))
        return {"arrived": event.start + len(event.frames_FHWC)}
    if isinstance(event, Done):
        steps = {"seconds_per_step": pace.per_step} if pace.per_step is not None else {}
        return {"seconds": round(sum(event.seconds.values()), 2), "eta": 0.0, **steps}
    assert not isinstance(event, Estimate)
    return {"done": event.done, "total": event.total, "label": event.label, "eta": pace.eta(event.done, event.total)}


class _Pace:
    """Seconds of a step, from the steps of this run; the first of them compiles and does not count."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._seconds: list[float] = []

    def eta(self, done: int, total: int) -> float | None:
        """Seconds until all steps are done; ``None``: not known yet."""
        now = time.perf_counter()
        if self._last is not None and done == self._last[0] + 1:
            self._seconds.append(now - self._last[1])
        if self._last is None or done != self._last[0]:
            self._last = (done, now)
        return None if self.per_step is None else round(self.per_step * (total - done), 1)

    @property
    def per_step(self) -> float | None:
        """The middle of the last steps' times."""
        steady = sorted(self._seconds[1:][-20:])
        return steady[len(steady) // 2] if steady else None


def _show_result(job: Job, folder: Path) -> Generator[Update, None, None]:
    """Pictures of the finished file, for the page."""
    with (
        ShelfWriter(folder / places.FRAMES) as shelf,
        contextlib.closing(video_pictures(job.out)) as pictures,
    ):
        for number, (_, _, picture) in enumerate(pictures):
            shelf.add(number, jpeg(picture.over_black()))
            yield {}


def plain(text: str) -> str:
    """A sentence for people, without the marks of arguments."""
    return re.sub(r"`(\w+)`", lambda match: match[1].replace("_", " "), text)
