"""Runs a job: read, load, plan, inpaint, write. It yields what happens, and prints nothing.

An existing result is replaced only by a finished one. After an interrupt or a crash the same job goes on behind the
last finished window, or step.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vp_jax.files import replacing_all
from vp_jax.inference.named import find_model
from vp_jax.inference.plan import Position
from vp_jax.inference.prompts import Prompts
from vp_jax.inference.task import REMOVE
from vp_jax.jobs.beside import Beside
from vp_jax.jobs.claim import claimed
from vp_jax.jobs.events import Arrived, Done, JobEvent, Note
from vp_jax.jobs.job import Job
from vp_jax.jobs.loading import ModelCache, enough_memory
from vp_jax.jobs.media import Media, cuts_note, read_media
from vp_jax.jobs.memory import used_memory
from vp_jax.jobs.outputs import COMPARISON
from vp_jax.jobs.preview import write_preview
from vp_jax.media.streams.carried import Carried
from vp_jax.reading import show

if TYPE_CHECKING:  # JAX takes seconds to import: mistakes in the job's files are reported before
    from vp_jax.inference.pipeline import Pipeline
    from vp_jax.inference.request import Request
    from vp_jax.inference.result import Result
    from vp_jax.jobs.prepare import OpenJob
    from vp_jax.jobs.record import Pictures
    from vp_jax.jobs.spool import FrameSpool
    from vp_jax.media.fidelity import Fidelity


class Clock:
    """Seconds of each phase of a run, and the denoising steps that it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.steps = 0
        self.window_seconds: dict[int, float] = {}
        self.window_memory: dict[int, dict[str, int]] = {}
        self._begin = self._step_begin = time.perf_counter()

    def lap(self, phase: str) -> None:
        """The phase that ends now."""
        now = time.perf_counter()
        self.seconds[phase], self._begin = round(now - self._begin, 3), now
        self._step_begin = now

    def step(self, window: int) -> None:
        """A denoising step of a window ends now."""
        now = time.perf_counter()
        self.steps += 1
        self.window_seconds[window] = self.window_seconds.get(window, 0.0) + now - self._step_begin
        self._step_begin = now

    def window(self, window: int) -> None:
        """A window is finished."""
        self.window_memory[window] = used_memory()


def run(job: Job, loader: ModelCache | None = None) -> Generator[JobEvent, None, None]:
    """Run a job.

    Close the generator (`contextlib.closing`) if it may be left early: then what has been sampled is kept.

    Args:
      job: what is asked for.
      loader: keeps the model for further jobs; default: one of its own.

    Yields:
      `vp_jax.jobs.events`.

    Raises:
      UserError: bad input, or a device with too little memory, in one line.
    """
    with claimed(job.out) as folder:
        yield from _run(job, loader or ModelCache(), folder)


def _run(job: Job, loader: ModelCache, folder: Path) -> Generator[JobEvent, None, None]:
    clock = Clock()
    media = read_media(job)
    yield media.event()
    if media.video.note:
        yield Note("video", media.video.note)
    for line in _changes(job, media):
        yield line
    for line in media.check.notes:
        yield Note("mask", line)
    if media.cuts:
        yield cuts_note(media)
    if job.preview is not None:
        write_preview(job.preview, media.video.frames_FHWC, media.holes_FHW, media.check)
        yield Note("preview", f"{show(job.preview)}; nothing was generated, leave `preview` off to go on")
        return
    clock.lap("read")

    from vp_jax.inference.result import Result
    from vp_jax.jobs import compile_cache
    from vp_jax.jobs.dry_run import within_memory
    from vp_jax.jobs.prepare import check_unfinished, open_job, planned, request_of
    from vp_jax.jobs.record import draw_pictures
    from vp_jax.jobs.spool import FrameSpool

    cache = compile_cache.keep(job.compilation_cache)
    for line in _unread(job, media):
        yield Note("prompt", line)
    if job.verify:
        yield Note("verify", _verify(job))
    check_unfinished(job, folder)
    if job.memory is not None:
        form = within_memory(job, media)
        job = form.job
        yield Note("memory", form.line)
    pipeline = loader.load(job, _texts(job, media))
    request = request_of(job, pipeline, media)
    yield planned(job, request)
    clock.lap("load")
    damaged: list[str] = []
    prepared = open_job(job, pipeline, request, media, loader, folder, damaged.append)
    clock.lap("encode_prompt")
    with contextlib.ExitStack() as stack:
        stack.callback((folder / COMPARISON).unlink, missing_ok=True)
        spool = stack.enter_context(FrameSpool(folder, (request.plan.output_frames, *request.size, 3)))
        result = Result(request, spool)
        drawing = stack.enter_context(Beside(functools.partial(draw_pictures, job, result, folder)))
        yield from _inpaint(pipeline, request, prepared, damaged, spool, drawing, clock)
        clock.lap("inpaint")
        yield from _write(job, result, prepared, media, drawing, cache, clock)
    keep = len(request.plan.windows) > 1 if job.keep_job is None else job.keep_job
    notes = {"seconds_per_step": round(clock.seconds["inpaint"] / clock.steps, 4)} if clock.steps else {}
    kept = prepared.store.finish(keep=keep, **notes)
    yield Done(clock.seconds, (folder, kept) if keep else None)


def _write(
    job: Job,
    result: Result,
    prepared: OpenJob,
    media: Media,
    drawing: Beside[Pictures],
    cache: Path | None,
    clock: Clock,
) -> Iterator[JobEvent]:
    """Write the result and everything beside it, all files or none."""
    from vp_jax.jobs.record import Checked, place_pictures, record_of, write_record

    carried: list[Carried] = []
    lost: list[str] = []
    outside: list[Fidelity] = []
    with replacing_all(job.files) as partials:
        hidden = job.written_to(partials)
        result.save(hidden.out, quality=job.quality, warn=lost.append, carried=carried.append, note=outside.append)
        for found in carried:
            yield Note(found.kind, found.line.removeprefix(found.kind).lstrip(": "))
        for line in [
            *(line for line in lost if line not in {found.line for found in carried}),
            *(found.line for found in outside),
        ]:
            yield Note(*line.split(" ", 1))
        drawn = drawing.finish()
        place_pictures(hidden, drawn)
        clock.lap("write")
        fidelity = outside[0] if outside else None
        checked = Checked(carried, lost, fidelity, media.note, media.check.notes, media.grown)
        record = record_of(
            job,
            result,
            clock.seconds,
            drawn=drawn,
            checked=checked,
            cache=cache,
            windows=prepared.store.manifest.windows,
            window_seconds=clock.window_seconds,
            window_memory=clock.window_memory,
        )
        write_record(job, hidden, record, drawn)


def _changes(job: Job, media: Media) -> list[Note]:
    """What a task or a border makes of what was given."""
    video = media.video
    notes, border, (height, width) = [], video.border, video.size
    if border is not None:
        height, width = height - border.top - border.bottom, width - border.left - border.right
        notes.append(Note("extend", f"{width}x{height} pixels become {video.size[1]}x{video.size[0]}"))
    if job.task == REMOVE:
        words = "" if job.prompt is None else f", prompt {show(job.prompt)}"
        words += f", not {show(job.negative_prompt)}" if job.negative_prompt else ""
        notes.append(Note("remove", f"the hole is grown by {media.grown} pixels{words}"))
    return notes


def _unread(job: Job, media: Media) -> list[str]:
    """What the model cannot read of the prompts; known before anything large is loaded."""
    from vp_jax.inference.text import unread
    from vp_jax.models.folder import CheckpointFolder

    if job.prompt_embeds is not None:
        return []
    return unread([*_texts(job, media), job.negative_prompt or ""], CheckpointFolder(find_model(job.checkpoint).folder))


def _texts(job: Job, media: Media) -> list[str]:
    """The prompts of a job, without those that a kept run had."""
    if job.prompt_embeds is not None:
        return []
    texts = [] if job.prompt is None else [job.prompt]
    return texts + (media.prompt.distinct() if isinstance(media.prompt, Prompts) else [])


def _verify(job: Job) -> str:
    """Compare the checkpoint with its digests; a line that says what was compared."""
    from vp_jax.models.folder import CheckpointFolder

    folder = find_model(job.checkpoint).folder
    return f"{show(folder)}: {', '.join(CheckpointFolder(folder).verify())} are what was written"


def _inpaint(
    pipeline: Pipeline,
    request: Request,
    prepared: OpenJob,
    damaged: list[str],
    spool: FrameSpool,
    drawing: Beside[Pictures],
    clock: Clock,
) -> Iterator[JobEvent]:
    """Sample and decode all windows into ``spool``, from which ``drawing`` takes frames; the store keeps windows,
    ``damaged`` has the lines about it."""
    from vp_jax.inference.decode import Decoded
    from vp_jax.inference.progress import position
    from vp_jax.inference.stream import StepDone, WindowDone
    from vp_jax.jobs.store import resumable

    plan, settings = request.plan, request.settings
    size_advice = "" if pipeline.fixed_size else ", `height` and `width`"
    kept = resumable(pipeline, request.padded, prepared.prompts, settings, prepared.store, plan)
    yield Position(0, len(plan.windows) * settings.steps, "compiling")
    with (
        enough_memory(f"a smaller `window`{size_advice}, or `precision` bfloat16"),
        contextlib.closing(kept) as events,
    ):
        for event in pipeline.decoded(events, plan, settings, request.size):
            while damaged:
                yield Note("kept", damaged.pop(0))
            if isinstance(event, Decoded):
                spool.add(event.start, event.frames_FHWC)
                yield Arrived(event.start, event.frames_FHWC)
                drawing.ready(len(event.frames_FHWC))
            if isinstance(event, StepDone):
                clock.step(event.window)
            if isinstance(event, WindowDone):
                clock.window(event.window)
            if here := position(event, plan, settings):
                yield here
