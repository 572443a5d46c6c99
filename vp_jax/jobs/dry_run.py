"""What a job would do, from its files and the description of its model: windows, sizes, memory. No weights are read.

Memory is estimated by counting activations. The factors are those that the compiler reports for the 5B model on one
H100 (docs/scaling.md); ``vp-jax compile TARGET --sample`` compiles the programs and is exact.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.digests import Damaged
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import WindowPlan
from vp_jax.inference.prompts import Prompts
from vp_jax.inference.request import Request
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import WindowProgram
from vp_jax.jobs.claim import check_ours
from vp_jax.jobs.events import Estimate, JobEvent, Note
from vp_jax.jobs.job import Job, memory_of
from vp_jax.jobs.manifest import Manifest
from vp_jax.jobs.media import Media, cuts_note, read_media
from vp_jax.jobs.outputs import job_folder
from vp_jax.jobs.prepare import check_unfinished, planned, request_of
from vp_jax.models.folder import abstract_model
from vp_jax.models.vae.vae import DECODE_CHUNK
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames

_STEP = 12
"""Activations (2, S, D) that a denoising step holds: 2.48 GB at 17,776 tokens of 3,072 values."""
_DECODE = 16
"""Activations of a chunk at the decoder's finest level that decoding holds, its caches included: 10.9 GB."""


def dry_run(job: Job) -> Iterator[JobEvent]:
    """Check a job, and report what it will do. Nothing is written.

    Yields:
      `MediaRead`, `Note` where one is due, `Planned` and `Estimate`.

    Raises:
      UserError: what `vp_jax.jobs.run.run` would raise before it samples.
    """
    with contextlib.ExitStack() as stack:
        shown = job
        if job.demonstration:  # the packaged clip would be written first
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            shown = dataclasses.replace(job, video=folder / job.video.name, mask=folder / "mask.mkv")
        yield from _dry_run(job, read_media(shown))


def _dry_run(job: Job, media: Media) -> Iterator[JobEvent]:
    yield media.event()
    for line in media.check.notes:
        yield Note("mask", line)
    if media.cuts:
        yield cuts_note(media)
    folder = job_folder(job.out)
    check_ours(folder)
    check_unfinished(job, folder)
    form = _form(job, media) if job.memory is None else within_memory(job, media)
    if form.line:
        yield Note("memory", form.line)
    pipeline, request = form.pipeline, form.request
    if isinstance(media.prompt, Prompts):
        media.prompt.texts(request.plan, request.settings, media.video)
    yield planned(job, request)
    yield _needs(pipeline, request, _measured(folder))


class Form(NamedTuple):
    """A job in one form of its weights.

    Attributes:
      job: with ``weights`` of this form.
      pipeline: its model, described, without weights.
      request: its files, fitted to the model.
      line: what it needs, for people, "" if that was not asked.
    """

    job: Job
    pipeline: Pipeline
    request: Request
    line: str = ""


def _form(job: Job, media: Media) -> Form:
    pipeline = Pipeline.describe(job.checkpoint, **job.model_options)
    return Form(job, pipeline, request_of(job, pipeline, media))


def within_memory(job: Job, media: Media) -> Form:
    """The job as it fits into ``job.memory``, from descriptions alone, each form of the model described once.

    As it is, if it fits; otherwise with the matrices of blocks in 8 bits; otherwise with blocks that wait in the
    host's memory, as exact as they were.

    Raises:
      UserError: it does not fit in any form; says what each form needs.
    """
    assert job.memory is not None
    limit, tried = memory_of(job.memory), []
    for weights in dict.fromkeys((job.weights, "int8", "host")):
        form = _form(dataclasses.replace(job, weights=weights), media)
        needs, kind = _needs(form.pipeline, form.request), weights or form.pipeline.models.backbone_cfg.dtype
        said = f"{needs.peak / 1e9:.3g} GB while {needs.at}, with {kind} weights"
        if needs.peak <= limit:
            return form._replace(line=f"about {said}, of {job.memory}")
        tried.append(said)
    raise UserError(f"memory {job.memory}: about {'; or '.join(tried)}: a smaller window or size needs less")


def _needs(pipeline: Pipeline, request: Request, per_step: float | None = None) -> Estimate:
    settings, plan = request.settings, request.plan
    program = WindowProgram(pipeline.models, settings, pipeline.schedule)
    room = program.room(request.padded.holes(plan, settings)) if settings.clip_weight > 0 else None
    return estimate(pipeline, settings, plan, request.size, room, per_step)


def estimate(
    pipeline: Pipeline,
    settings: Settings,
    plan: WindowPlan,
    size: tuple[int, int],
    room: int | None = None,
    per_step: float | None = None,
) -> Estimate:
    """What sampling needs.

    Args:
      pipeline: of the model; its weights are not looked at.
      settings: of the run.
      plan: its windows.
      size: height and width that the model generates.
      room: tokens whose states a window leaves to the next; ``None``: all.
      per_step: seconds of a denoising step, if known.
    """
    models, (height, width) = pipeline.models, size
    cfg, vae = models.backbone_cfg, models.vae_cfg
    weights = sum(_bytes(shapes) for _, shapes in models.abstract().values())
    if cfg.weights == "host":  # the block that runs and the one that is fetched meanwhile are on the device
        blocks = _bytes(models.abstract()["backbone"][1]["blocks"])
        weights -= blocks - min(2, cfg.num_layers) * blocks // cfg.num_layers
    latents = latent_frames(settings.window)
    cells = latents * (height // SPATIAL_STRIDE) * (width // SPATIAL_STRIDE)
    tokens = cfg.max_text_len + cells // cfg.patch**2 // (cfg.patch_t or 1)
    token = (1 + settings.guided) * cfg.dim * jnp.dtype(cfg.dtype).itemsize
    looks_back = settings.clip_weight > 0 and len(plan.windows) > 1
    states = 2 * cfg.num_layers * token * (room or tokens) if looks_back else 0  # read of one window, kept for another
    layers = cfg.num_layers + (models.branch_cfg.dit.num_layers if models.branch_cfg else 0)
    kept = 2 * layers * token * tokens if settings.background_every > 1 else 0  # keys and values
    chunk = min(DECODE_CHUNK, latents) * TEMPORAL_STRIDE * height * width
    needs = {
        "denoising": _STEP * token * tokens + states + kept,
        "decoding": _DECODE * chunk * vae.channels[0] * jnp.dtype(vae.dtype).itemsize,
    }
    if pipeline.text_encoder is not None:  # it is gone before the other weights are loaded
        needs["encoding the prompt"] = _bytes(abstract_model(pipeline.text_encoder[0])[1]) - weights
    at = max(needs, key=lambda name: needs[name])
    steps = len(plan.windows) * settings.steps
    disk = len(plan.windows) * cells * vae.latent_channels * 4
    return Estimate(weights, weights + needs[at], at, disk, None if per_step is None else per_step * steps)


def _bytes(shapes: Any) -> int:
    return sum(leaf.size * jnp.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(shapes))


def _measured(folder: Path) -> float | None:
    """Seconds of a step in the kept run of this job."""
    with contextlib.suppress(Damaged):
        stored = Manifest.read(folder)
        value = stored.notes.get("seconds_per_step") if stored else None
        return float(value) if isinstance(value, int | float) and 0 <= value < 1e9 else None
    return None
