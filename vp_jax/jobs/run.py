"""Runs a job: read, load, plan, inpaint, write. It yields what happens, and prints nothing.

An existing result is replaced only by a finished one. After an interrupt or a crash the same job goes on behind the
last finished window, or step.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.files import replacing_all
from vp_jax.inference.inputs import Mask, Video, fit_frames
from vp_jax.inference.named import find_model
from vp_jax.inference.plan import Position
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.request import Look, holes_of
from vp_jax.jobs import packaged
from vp_jax.jobs.claim import claimed, clear
from vp_jax.jobs.events import Done, JobEvent, MediaRead, Note, Planned
from vp_jax.jobs.job import Job
from vp_jax.jobs.preview import write_preview
from vp_jax.media.carried import Carried
from vp_jax.media.images import read_image
from vp_jax.media.mask_check import check_masks
from vp_jax.reading import show

if TYPE_CHECKING:  # JAX takes seconds to import: mistakes in the job's files are reported before
    from vp_jax.inference.pipeline import Pipeline
    from vp_jax.inference.request import Request
    from vp_jax.inference.result import Result


class Clock:
    """Seconds of each phase of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begin = time.perf_counter()

    def lap(self, phase: str) -> None:
        """The phase that ends now."""
        now = time.perf_counter()
        self.seconds[phase], self._begin = round(now - self._begin, 3), now


class _Media(NamedTuple):
    """A job's files in memory: frames, holes and how they were read, embeddings, the image to start from."""

    video: Video
    holes_FHW: np.ndarray
    note: str
    prompt: Prompt | None
    first_frame: np.ndarray | str | None


def run(job: Job) -> Generator[JobEvent, None, None]:
    """Run a job.

    Close the generator (`contextlib.closing`) if it may be left early: then what has been sampled is kept.

    Yields:
      `vp_jax.jobs.events`.

    Raises:
      UserError: bad input, or a device with too little memory, in one line.
    """
    with claimed(job.out) as folder:
        yield from _run(job, folder)


def _run(job: Job, folder: Path) -> Generator[JobEvent, None, None]:
    clock = Clock()
    media = _read(job)
    frames, holes_FHW = len(media.video), media.holes_FHW
    hole_frames = int(holes_FHW.any((1, 2)).sum())
    yield MediaRead(frames, media.video.size, media.video.fps, float(holes_FHW.mean()), hole_frames, media.note)
    if media.video.note:
        yield Note("video", media.video.note)
    check = check_masks(holes_FHW)
    for line in check.notes:
        yield Note("mask", line)
    if job.preview is not None:
        write_preview(job.preview, media.video.frames_FHWC, holes_FHW, check)
        yield Note("preview", f"{show(job.preview)}; nothing was generated, leave `preview` off to go on")
        return
    clock.lap("read")

    from vp_jax.jobs import compile_cache
    from vp_jax.jobs.record import record_of, write_pictures, write_record

    cache = compile_cache.keep(job.compilation_cache)
    for line in _unread(job):
        yield Note("prompt", line)
    if job.verify:
        yield Note("verify", _verify(job))
    pipeline = _load(job)
    settings = pipeline.settings.changed(**job.settings)
    size = pipeline.size(job.height, job.width)
    yield Planned(media.video.size, size, frames, settings, pipeline.plan(frames, settings), tuple(job.files))
    clock.lap("load")

    with _enough_memory("`precision` bfloat16, or `prompt_embeds` in place of `prompt`"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is not read of the prompt was noted before
        prompt = pipeline.embeddings(media.prompt or job.prompt or "", job.negative_prompt)
    clock.lap("encode_prompt")

    look = Look(first_frame=media.first_frame, height=job.height, width=job.width)
    look |= Look(paste=job.composite, feather=job.feather)
    request = pipeline.request(media.video, Mask(holes_FHW), settings=settings, **look)
    result = yield from _inpaint(pipeline, request, prompt, folder)
    clock.lap("inpaint")

    carried: list[Carried] = []
    lost: list[str] = []
    with replacing_all(job.files) as partials:
        hidden = job.written_to(partials)
        outside: list[str] = []
        result.save(hidden.out, quality=job.quality, warn=lost.append, carried=carried.append, note=outside.append)
        for found in carried:
            yield Note(found.kind, found.line.removeprefix(found.kind).lstrip(": "))
        for line in [*(line for line in lost if line not in {found.line for found in carried}), *outside]:
            yield Note(*line.split(" ", 1))
        write_pictures(hidden, result)
        clock.lap("write")
        write_record(hidden, record_of(job, result, clock.seconds, carried=carried, cache=cache))
    clear(folder)
    yield Done(clock.seconds)


def _read(job: Job) -> _Media:
    if job.demonstration:
        packaged.write_clip(job.video, job.mask)
    prompt = None if job.prompt_embeds is None else Prompt.read(job.prompt_embeds)
    first_frame: Any = job.first_frame
    if job.picture is not None:
        first_frame = read_image(job.picture)
    video = Video.read(job.video, start=job.start, stop=job.stop, fps=job.fps, folder_fps=job.folder_fps)
    mask = Mask.read(
        job.mask,
        like=video,
        mask_id=job.mask_id,
        invert=job.invert_mask,
        grow=job.mask_dilate,
        resize=job.mask_resize,
    )
    video, mask = fit_frames(video, mask, job.mask_fit)
    return _Media(video, holes_of(video, mask, first_frame), mask.note, prompt, first_frame)


def _unread(job: Job) -> list[str]:
    """What the model cannot read of the prompts; known before anything large is loaded."""
    from vp_jax.inference.text import unread
    from vp_jax.models.folder import CheckpointFolder

    if job.prompt is None:
        return []
    return unread([job.prompt, job.negative_prompt], CheckpointFolder(find_model(job.checkpoint).folder))


def _verify(job: Job) -> str:
    """Compare the checkpoint with its digests; a line that says what was compared."""
    from vp_jax.models.folder import CheckpointFolder

    folder = find_model(job.checkpoint).folder
    return f"{show(folder)}: {', '.join(CheckpointFolder(folder).verify())} are what was written"


def _load(job: Job) -> Pipeline:
    from vp_jax.inference.pipeline import Pipeline

    with _enough_memory("`precision` bfloat16, or a device with more"):
        pipeline = Pipeline.load(
            job.checkpoint,
            precision=job.precision,
            attention=job.attention,
            id_adapter=job.id_adapter,
            id_scale=job.id_scale,
            loras=job.loras,
        )
    if job.prompt_embeds is None and not pipeline.has_text_encoder:
        raise UserError(f"checkpoint {job.checkpoint} has no text encoder: give `prompt_embeds` instead of `prompt`")
    return pipeline


def _inpaint(pipeline: Pipeline, request: Request, prompt: Prompt, folder: Path) -> Generator[JobEvent, None, Result]:
    """Sample and decode all windows; ``folder`` holds what is finished."""
    from vp_jax.inference.progress import position
    from vp_jax.inference.result import Collector
    from vp_jax.jobs.store import resumable

    plan, settings = request.plan, request.settings
    size_advice = "" if pipeline.fixed_size else ", `height` and `width`"
    collector = Collector(request)
    damaged: list[str] = []
    kept = resumable(pipeline, request.padded, prompt, settings, folder, warn=damaged.append)
    yield Position(0, len(plan.windows) * settings.steps, "compiling")
    with (
        _enough_memory(f"a smaller `window`{size_advice}, or `precision` bfloat16"),
        contextlib.closing(kept) as events,
    ):
        for event in pipeline.decoded(events, plan, settings):
            while damaged:
                yield Note("kept", damaged.pop(0))
            collector.take(event)
            if here := position(event, plan, settings):
                yield here
    return collector.result


@contextlib.contextmanager
def _enough_memory(advice: str) -> Iterator[None]:
    """Too little device memory as a `UserError` with what needs less of it."""
    try:
        yield
    except RuntimeError as error:  # jax's own error type, told apart by its status
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"out of device memory: try {advice}") from error
