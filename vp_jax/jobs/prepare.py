"""What the windows of a job will be made from: prompts and seeds, the manifest, and the store with what is kept."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from vp_jax.digests import Damaged, of_json, weights_digest
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.prompts import Prompts
from vp_jax.inference.request import Look, Request
from vp_jax.inference.step_cache import reused_by
from vp_jax.jobs.events import Planned
from vp_jax.jobs.job import Job
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.manifest import ChosenWindow, Manifest, content, fact_differences, refuse
from vp_jax.jobs.media import Media
from vp_jax.jobs.redo import arguments_of, stored_manifest
from vp_jax.jobs.store import WindowStore, holds_work
from vp_jax.provenance import versions
from vp_jax.reading import show


@dataclasses.dataclass(frozen=True)
class OpenJob:
    """What is given to `vp_jax.jobs.store.resumable`.

    Attributes:
      prompts: embeddings of each window.
      store: its manifest has the seeds.
    """

    prompts: list[Prompt]
    store: WindowStore


def request_of(job: Job, pipeline: Pipeline, media: Media) -> Request:
    """The files of a job, fitted to its model.

    Raises:
      UserError: what does not go together, in one line.
    """
    look = Look(first_frame=media.first_frame, height=job.height, width=job.width, cuts=media.cuts)
    look |= Look(paste=job.composite, feather=job.feather, fit=job.fit, task=job.task)
    if media.affected_FHW is not None:
        look["affected"] = Mask(media.affected_FHW, grow=0)
    settings = pipeline.settings.changed(**job.settings)
    return pipeline.request(media.video, Mask(media.holes_FHW, grow=0), settings=settings, **look)


def planned(job: Job, request: Request) -> Planned:
    """What a job will do."""
    video, files = request.video, tuple(job.files)
    return Planned(video.size, request.size, len(video), request.settings, request.plan, files, request.fit)


def open_job(
    job: Job,
    pipeline: Pipeline,
    request: Request,
    media: Media,
    loader: ModelCache,
    folder: Path,
    warn: Callable[[str], object],
) -> OpenJob:
    """Encode the prompts of a job and open its store.

    Args:
      job: what is asked for.
      pipeline: its model.
      request: its video, fitted to the model.
      media: its files.
      loader: encodes prompts.
      folder: of the store.
      warn: called with a line for each kept file that is damaged.

    Raises:
      UserError: windows without prompts, or a folder with unfinished work of another job.
    """
    given, stored = media.prompt, stored_manifest(folder).windows if job.redo else ()
    count = len(request.plan.windows)
    seeds = [window.seed for window in stored] or [request.settings.seed] * count
    texts = [window.prompt for window in stored] or _texts(job, given, request)
    embedded = [True] * count if isinstance(given, Prompt) else [False] * count
    if len(seeds) != count:
        raise UserError(f"redo_window: {count} windows here, {len(seeds)} in {show(folder)}: leave the rest as it was")
    if job.redo:
        place = job.redo.window - 1
        seeds[place] = seeds[place] if job.redo.seed is None else job.redo.seed
        if job.redo.prompt is not None:
            texts[place], embedded[place] = job.redo.prompt, False
    prompts = _embeddings(pipeline, loader, given, texts, embedded, job.negative_prompt or "")
    windows = [ChosenWindow(seed, text, content(prompt)) for seed, text, prompt in zip(seeds, texts, prompts)]
    chained = pipeline.windows_continue(request.settings)
    notes = {"arguments": arguments_of(job), "versions": versions()}
    fresh = tuple(sorted(request.plan.fresh))
    manifest = Manifest(_facts(pipeline, request, media), tuple(windows), chained, notes, fresh=fresh)
    keep_states = bool(job.keep_job)
    store = WindowStore(folder, manifest, warn, redo=job.redo is not None, fresh=job.fresh, keep_states=keep_states)
    return OpenJob(prompts, store)


def check_unfinished(job: Job, folder: Path) -> None:
    """Compare the words of a job with unfinished work, before a model is loaded; `open_job` compares the rest.

    Raises:
      UserError: another seed, setting or prompt.
    """
    stored = None
    with contextlib.suppress(Damaged):  # the store says what to do
        stored = None if job.fresh else Manifest.read(folder)
    if stored is None:
        return
    asked: dict[str, Any] = {name: value for name, value in job.settings.items() if name in stored.facts}
    if job.redo:
        refuse(fact_differences(asked, stored.facts, show(folder)), redo=True)
        return
    if stored.finished or not holds_work(folder):
        return
    windows = [
        window._replace(
            seed=job.settings.get("seed", window.seed),
            prompt=window.prompt if job.prompts or job.prompt is None else job.prompt,
        )
        for window in stored.windows
    ]
    here = dataclasses.replace(stored, facts={**stored.facts, **asked}, windows=tuple(windows))
    refuse(here.differences(stored, show(folder)))


def _texts(job: Job, given: Prompt | Prompts | None, request: Request) -> list[str]:
    """The words of each window, "" where embeddings are given."""
    if isinstance(given, Prompts):
        return given.texts(request.plan, request.settings, request.video)
    return [job.prompt or ""] * len(request.plan.windows)


def _embeddings(
    pipeline: Pipeline,
    loader: ModelCache,
    given: Prompt | Prompts | None,
    texts: list[str],
    embedded: list[bool],
    negative: str,
) -> list[Prompt]:
    """Embeddings of each window: ``given``, or those of its words."""
    words = [text for text, from_file in zip(texts, embedded) if not from_file]
    made = iter(loader.encode(pipeline, words, negative) if words else ())
    return [
        pipeline.embeddings(given) if from_file and isinstance(given, Prompt) else next(made) for from_file in embedded
    ]


def _masks(media: Media) -> list[str]:
    return [media.digests[name] for name in ("mask", "affected") if name in media.digests]


def _facts(pipeline: Pipeline, request: Request, media: Media) -> dict[str, Any]:
    """What all windows depend on, as JSON values."""
    settings = {name: value for name, value in dataclasses.asdict(request.settings).items() if name != "seed"}
    height, width = request.size
    return {
        **settings,
        "reused": list(reused_by(pipeline.drift, pipeline.schedule, request.settings)),
        "size": f"{width}x{height}",
        "frames": len(request.video),
        "cuts": list(request.plan.cuts),
        "video": of_json([media.digests["video"], request.fit.boxes, request.fit.inside]),
        "mask": of_json([*_masks(media), request.plan.padded_frames]),
        "weights": weights_digest(pipeline.folders),
        "networks": of_json([repr(pipeline.models), repr(pipeline.schedule)]),
        "jax": jax.__version__,
        "device": jax.default_backend(),
    }
