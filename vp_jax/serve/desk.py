"""What the server knows: videos, masks and jobs, each a file that is written before anybody hears of a change.

A server that was killed finds them again: whatever waited or was at work stands in the line again, in the old order.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import ValidationError

from vp_jax.errors import UserError
from vp_jax.files import clear_left_behind, write_text
from vp_jax.reading import read_bytes
from vp_jax.serve import places
from vp_jax.serve.checks import check_request
from vp_jax.serve.hub import Hub
from vp_jax.serve.metrics import Counters
from vp_jax.serve.schemas import ID, Everything, JobRequest, JobState, Marks, MaskState, RedoRequest, VideoState
from vp_jax.serve.shelf import link_shelf
from vp_jax.serve.workers import Task, TaskLine, log

State = VideoState | MaskState | JobState
Kept = TypeVar("Kept", bound=VideoState | MaskState | JobState)
KIND_PLACES: dict[str, tuple[str, type[State]]] = {
    "video": (places.VIDEOS, VideoState),
    "mask": (places.MASKS, MaskState),
    "job": (places.JOBS, JobState),
}
WORDS = ("grabcut", "sam3_video", "grounding_dino")
"""Backends of masks that understand words; of grabcut, colours."""
MOST_WAITING = 200
"""Tasks that may wait for one worker."""
_FROM_START: dict[str, Any] = {"state": "waiting", "error": None, "done": 0, "arrived": 0, "eta": None, "label": ""}
"""A job that waits for its turn, the first time or again."""
_AT_WORK = ("waiting", "preparing", "tracking", "running")


class NotFound(Exception):
    """There is no object of that id."""


class Conflict(Exception):
    """The object is not in a state in which that is possible; the message says what to do."""


class ServerOptions(NamedTuple):
    """How the server works.

    Attributes:
      folder: of its files.
      checkpoint: of the model: "nano" or a converted folder.
      backend: of masks, see `vp_jax.segment.backends`.
      token: that requests need; ``None`` for this machine alone.
      max_upload: bytes of an upload.
      backend_options: of the backend: where its weights are.
    """

    folder: Path
    checkpoint: str = "nano"
    backend: str = "grabcut"
    token: str | None = None
    max_upload: int = 2 << 30
    backend_options: Mapping[str, str] = {}


class Desk:
    """All states, and the lines of tasks."""

    def __init__(self, options: ServerOptions) -> None:
        self.options, self.hub, self.counters = options, Hub(), Counters()
        self.videos: dict[str, VideoState] = {}
        self.masks: dict[str, MaskState] = {}
        self.jobs: dict[str, JobState] = {}
        self.media = TaskLine("media", options.folder, restarted=self._restarted)
        self.planner = TaskLine("planner", options.folder, {"JAX_PLATFORMS": "cpu"}, self._restarted)
        self.device = TaskLine("device", options.folder, restarted=self._restarted)
        self.lines = (self.media, self.planner, self.device)

    def open(self) -> None:
        """Read what an earlier server left, put what was not finished in line, and begin."""
        for state in sorted(self._stored(), key=lambda state: state.made):
            self._all(state.kind)[state.id] = state
            if state.state in _AT_WORK:
                again = _FROM_START if isinstance(state, JobState) else {"state": "waiting"}
                self._change(state, again, enqueue=True)
        for line in self.lines:
            line.start()

    async def close(self) -> None:
        """Let the workers end; what they were at goes on with the next start."""
        await asyncio.gather(*(line.stop() for line in self.lines))

    def _stored(self) -> Iterable[State]:
        for part, model in KIND_PLACES.values():
            (self.options.folder / part).mkdir(mode=0o700, exist_ok=True)
            for folder in (self.options.folder / part).iterdir():
                clear_left_behind(folder)
                if re.fullmatch(ID, folder.name) and not (folder / places.STATE).exists():
                    shutil.rmtree(folder, ignore_errors=True)  # an upload that was cut off
                    continue
                try:
                    yield model.model_validate_json(read_bytes(folder / places.STATE, 1 << 24))
                except (UserError, ValidationError):
                    log.warning("%s: holds no state that can be read, left alone", folder)

    def folder_of(self, state: State) -> Path:
        """Where an object is kept: a name that the server made itself."""
        return self.options.folder / KIND_PLACES[state.kind][0] / state.id

    def video(self, name: str) -> VideoState:
        """A video by its id. `NotFound` if there is none."""
        return _get(self.videos, name, "video")

    def mask(self, name: str) -> MaskState:
        """A mask by its id. `NotFound` if there is none."""
        return _get(self.masks, name, "mask")

    def job(self, name: str) -> JobState:
        """A job by its id. `NotFound` if there is none."""
        return _get(self.jobs, name, "job")

    def everything(self) -> Everything:
        """All states, the oldest first."""
        videos, masks, jobs = list(self.videos.values()), list(self.masks.values()), list(self.jobs.values())
        return Everything(videos=videos, masks=masks, jobs=jobs)

    def new_folder(self, kind: str) -> tuple[str, Path]:
        """A new id, and its folder."""
        name = secrets.token_urlsafe(12)
        folder = self.options.folder / KIND_PLACES[kind][0] / name
        folder.mkdir(mode=0o700)
        return name, folder

    def add_video(self, name: str, shown: str, size: int, suggestion: str | None = None) -> VideoState:
        """Take in the video whose file lies in its new folder."""
        return self._add(VideoState(id=name, made=time.time(), name=shown, bytes=size, suggestion=suggestion))

    def add_mask(self, video: str, marks: Marks) -> MaskState:
        """Track marks through a video."""
        shown = self.check_ready(video)
        _check_marks(marks)
        self._check_room(self.media)
        name, _ = self.new_folder("mask")
        return self._add(MaskState(id=name, made=time.time(), video=video, marks=marks, frames=shown.frames))

    def add_mask_file(self, name: str, video: str) -> MaskState:
        """Take in the mask whose file lies in its new folder."""
        shown = self.check_ready(video)
        state = MaskState(id=name, made=time.time(), video=video, uploaded=True, frames=shown.frames)
        return self._add(state)

    def change_marks(self, name: str, marks: Marks) -> MaskState:
        """Track again with other marks; what is at work on the mask is cancelled."""
        state = self.mask(name)
        if state.uploaded:
            raise Conflict("this mask was uploaded: mark the thing in a new one")
        _check_marks(marks)
        self._check_room(self.media)
        self.media.drop(name)
        new = MaskState(id=name, made=state.made, video=state.video, marks=marks, frames=state.frames)
        new.version = state.version + 1
        return self._add(new)

    def add_job(self, request: JobRequest) -> JobState:
        """Put a job in line. It has links to its video and mask, which may change or go."""
        video = self.video(request.video)
        mask = self._ready_mask(request)
        check_request(request)
        self.check_ready(request.video)
        self._check_room(self.device)
        name, folder = self.new_folder("job")
        try:
            os.link(self.folder_of(video) / places.VIDEO, folder / places.VIDEO)
            link_shelf(self.folder_of(video) / places.FRAMES, folder / places.SOURCE)
            if mask is not None:
                os.link(self.folder_of(mask) / places.MASK, folder / places.MASK)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UserError(f"the job's files cannot be kept ({error.strerror})") from error
        state = JobState(id=name, made=time.time(), request=request, frames=video.frames, fps=video.fps)
        state.width, state.height = video.width, video.height
        return self._add(state)

    def redo(self, name: str, redo: RedoRequest) -> JobState:
        """Put one window of a finished job in line."""
        state = self.job(name)
        if state.state != "done":
            raise Conflict("the job is not finished: wait for its result, or resume it")
        if redo.window > len(state.windows):
            raise UserError(f"window {redo.window}: the job has windows 1 to {len(state.windows)}")
        if redo.seed is None and redo.prompt is None:
            raise UserError("nothing would change: give another seed or prompt")
        self._check_room(self.device)
        return self._change(state, {"redo": redo, **_FROM_START}, enqueue=True)

    def resume(self, name: str) -> JobState:
        """Put a job in line again that was cancelled or has failed; it goes on where it was."""
        state = self.job(name)
        if state.state not in ("cancelled", "failed"):
            raise Conflict(f"the job is {state.state}: only a cancelled or failed one is resumed")
        self._check_room(self.device)
        return self._change(state, _FROM_START, enqueue=True)

    def cancel(self, state: State) -> None:
        """End what is at work on an object, or take it out of the line."""
        line = self.device if isinstance(state, JobState) else self.media
        if state.state not in _AT_WORK or not line.cancel(state.id):
            raise Conflict(f"nothing is at work here: it is {state.state}")

    def remove(self, state: State) -> None:
        """Forget an object and delete its files; jobs keep what they use of a video or a mask."""
        if isinstance(state, JobState) and state.state in _AT_WORK:
            raise Conflict("the job is not finished: cancel it first")
        masks = [mask for mask in self.masks.values() if isinstance(state, VideoState) and mask.video == state.id]
        for gone in [*masks, state]:
            self.media.drop(gone.id)
            self._all(gone.kind).pop(gone.id, None)
            shutil.rmtree(self.folder_of(gone), ignore_errors=True)
            self.hub.publish(gone.id, gone.kind, None)

    async def estimate(self, request: JobRequest) -> dict[str, Any]:
        """A dry run.

        Raises:
          UserError: what the job would raise.
        """
        self.check_ready(request.video)
        self._ready_mask(request)
        check_request(request)
        self._check_room(self.planner)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        found: dict[str, Any] = {}

        def end(how: str, why: str | None) -> None:
            if answer.done():
                return
            if how == "done":
                answer.set_result(found["reply"])
            else:
                answer.set_exception(UserError(why or "cancelled"))

        name = secrets.token_urlsafe(12)
        message = {"task": name, "kind": "estimate", "request": request.model_dump()}
        message["checkpoint"] = self.options.checkpoint
        self.planner.add(Task(name, lambda: message, found.update, end))
        try:
            reply = await answer
        finally:
            self.planner.cancel(name)
        if reply["seconds"] is None and (pace := self._measured_pace()) is not None:
            reply["seconds"] = round(pace * reply["steps"] * reply["windows"], 1)
        return reply

    def _measured_pace(self) -> float | None:
        """Seconds of a step in the last finished job: the model is the same."""
        found = [job.seconds_per_step for job in self.jobs.values() if job.seconds_per_step]
        return found[-1] if found else None

    def metrics(self) -> str:
        """Counters and the queue as it is now, for Prometheus."""
        states = [job.state for job in self.jobs.values()]
        return self.counters.text({
            "vp_jax_jobs": [({"state": state}, states.count(state)) for state in sorted({*states})],
            "vp_jax_waiting": [({"worker": line.role}, line.waiting) for line in self.lines],
            "vp_jax_disk_free_bytes": [({}, shutil.disk_usage(self.options.folder).free)],
        })  # fmt: skip

    def check_ready(self, name: str) -> VideoState:
        """A video by its id, if its pictures are ready. `NotFound` or `Conflict` otherwise."""
        state = self.video(name)
        if state.state != "ready":
            raise Conflict(f"the video is {state.state}: wait until it is ready")
        return state

    def _ready_mask(self, request: JobRequest) -> MaskState | None:
        if request.mask is None:
            return None
        state = self.mask(request.mask)
        if state.video != request.video:
            raise UserError("the mask is of another video")
        if state.state != "ready":
            raise Conflict(f"the mask is {state.state}: wait until it is ready")
        return state

    def _check_room(self, line: TaskLine) -> None:
        if line.waiting >= MOST_WAITING:
            raise Conflict(f"{MOST_WAITING} tasks wait already: try again later")

    def _all(self, kind: str) -> dict[str, Any]:
        states: dict[str, dict[str, Any]] = {"video": self.videos, "mask": self.masks, "job": self.jobs}
        return states[kind]

    def _add(self, state: Kept) -> Kept:
        self._keep(state)
        if isinstance(state, VideoState):
            self.counters.add("vp_jax_upload_bytes_total", state.bytes)
        self._enqueue(state)
        return state

    def _keep(self, state: State) -> None:
        write_text(self.folder_of(state) / places.STATE, state.model_dump_json(indent=1))
        self._show(state)

    def _show(self, state: State) -> None:
        self._all(state.kind)[state.id] = state
        self.hub.publish(state.id, state.kind, state)

    def _change(self, state: Kept, values: dict[str, Any], *, enqueue: bool = False, keep: bool = True) -> Kept:
        new = cast(Kept, type(state).model_validate({**dict(state), **values}))
        (self._keep if keep else self._show)(new)
        if enqueue:
            self._enqueue(new)
        return new

    def _enqueue(self, state: State) -> None:
        """Stand in the line of the worker that an object needs."""
        name, all_of = state.id, self._all(state.kind)

        def message() -> dict[str, Any]:
            return {"task": name, "checkpoint": self.options.checkpoint, **_message(all_of[name], self.options)}

        def report(values: dict[str, Any]) -> None:
            if name in all_of:
                before = all_of[name]
                self._count(before, values)
                self._change(before, values, keep=values.get("state", before.state) != before.state)

        def end(how: str, why: str | None) -> None:
            if name not in all_of:
                return
            now = all_of[name]
            if isinstance(now, JobState):
                self.counters.add("vp_jax_jobs_finished_total", end=how)
                self.counters.add("vp_jax_job_seconds_total", (now.seconds or 0.0) if how == "done" else 0.0)
            if how == "done":
                self._keep(now)
            elif isinstance(now, JobState) and now.version:  # a window anew that came to nothing
                left = "the redo was cancelled" if how == "cancelled" else f"redo: {why}"
                self._change(now, {"state": "done", "redo": None, "eta": None, "label": "", "error": left})
            else:
                state = "failed" if isinstance(now, VideoState) else how
                self._change(now, {"state": state, "error": why, **({"eta": None} if now.kind == "job" else {})})

        line = self.device if isinstance(state, JobState) else self.media
        line.add(Task(name, message, report, end))

    def _count(self, before: State, values: dict[str, Any]) -> None:
        if isinstance(before, JobState) and values.get("done", 0) == before.done + 1:
            self.counters.add("vp_jax_steps_total")

    def _restarted(self, role: str) -> None:
        self.counters.add("vp_jax_worker_restarts_total", worker=role)


def _message(state: State, options: ServerOptions) -> dict[str, Any]:
    if isinstance(state, VideoState):
        return {"kind": "prepare"}
    if isinstance(state, JobState):
        return {"kind": "run", "state": state.model_dump()}
    if state.uploaded:
        return {"kind": "read_mask", "video": state.video}
    backend = {"backend": options.backend, "options": dict(options.backend_options)}
    return {"kind": "track", "video": state.video, "marks": state.marks.model_dump(), **backend}


def _check_marks(marks: Marks) -> None:
    if not marks.boxes and not any(point.inside for point in marks.points) and not marks.words:
        raise UserError("nothing is marked: expected a box, a point on the thing, or words that name it")


def _get(states: dict[str, Kept], name: str, kind: str) -> Kept:
    if name not in states:
        raise NotFound(f"there is no {kind} of this id")
    return states[name]
