"""What a run leaves beside its result: comparison video, contact sheet, record and page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import escaped
from vp_jax.eval import video_metrics
from vp_jax.files import write_atomically, write_text
from vp_jax.inference.result import Result
from vp_jax.jobs import packaged, report
from vp_jax.jobs.job import Job
from vp_jax.jobs.manifest import ChosenWindow
from vp_jax.jobs.outputs import outputs
from vp_jax.media import pictures
from vp_jax.media.carried import Carried
from vp_jax.media.video_writer import write_video
from vp_jax.provenance import versions


def write_pictures(job: Job, result: Result) -> None:
    """Write the comparison video and the contact sheet."""
    _, comparison, contact, _ = outputs(job.out)
    video, holes_FHW, frames = result.request.video, result.request.holes_FHW, result.frames
    source_FHWC, holes_FHW = video.frames_FHWC[: len(result)], holes_FHW[: len(result)]
    clock, _ = video.first(len(result))
    write_video(comparison, pictures.comparison_frames(source_FHWC, holes_FHW, frames), video.fps, clock=clock)
    sheet = pictures.contact_sheet(source_FHWC, holes_FHW, frames, title=escaped(job.prompt or ""))
    write_atomically(contact, sheet.save)


def record_of(
    job: Job,
    result: Result,
    seconds: Mapping[str, float],
    *,
    carried: Sequence[Carried],
    cache: Path | None,
    windows: Sequence[ChosenWindow] = (),
) -> dict[str, Any]:
    """Everything that made a result, and what is known about it, as JSON values but for paths."""
    request = result.request
    return {
        "settings": dataclasses.asdict(request.settings),
        "arguments": dataclasses.asdict(job),
        "seconds": dict(seconds),
        "versions": versions(),
        "frames": len(result),
        "fps": str(request.video.fps),
        "source_size": request.video.size,
        "model_size": request.size,
        "windows": list(request.plan.windows),
        "seeds": [window.seed for window in windows],
        "prompts": [window.prompt for window in windows],
        "padded_frames": request.plan.padded_frames,
        "audio_copied": any(found.kind == "sound" and found.how == "copied" for found in carried),
        "carried": [found.line for found in carried],
        "compilation_cache": cache,
        "hole": measure(result) if job.demonstration else None,
    }


def measure(result: Result) -> dict[str, float]:
    """How near the hole is to what was there, for a prompt that describes it, and how near one colour would be."""
    request, frames_FHWC = result.request, result.frames_FHWC
    truth_FHWC, holes_FHW = request.video.frames_FHWC[: len(result)], request.holes_FHW[: len(result)]
    flat_FHWC = truth_FHWC.copy()
    flat_FHWC[holes_FHW] = np.rint(truth_FHWC[~holes_FHW].mean(axis=0))
    return {
        "psnr": video_metrics.psnr(truth_FHWC, frames_FHWC, holes_FHW),
        "ssim": video_metrics.ssim(truth_FHWC, frames_FHWC, holes_FHW),
        "mean_colour_psnr": video_metrics.psnr(truth_FHWC, flat_FHWC, holes_FHW),
    }


def write_record(job: Job, record: Mapping[str, Any]) -> None:
    """Write ``out.json`` and, if the job wants one, the page."""
    write_text(outputs(job.out).record, json.dumps(record, indent=2, default=str) + "\n")
    if job.report is not None:
        write_text(job.report, _page(job, record))


def _page(job: Job, record: Mapping[str, Any]) -> str:
    hole = record["hole"]
    numbers = [(f"{sum(record['seconds'].values()):.0f} s", "from start to files, compilation included")]
    if hole:
        numbers = [
            (f"{hole['psnr']:.1f} dB", "PSNR in the hole against what was there"),
            (f"{hole['ssim']:.2f}", "SSIM in the hole"),
            (f"{hole['mean_colour_psnr']:.1f} dB", "PSNR of the hole filled with the mean colour"),
            *numbers,
        ]
    _, comparison, contact, _ = outputs(job.out)
    return report.page(
        title=f"VideoPainter {job.checkpoint if job.named else 'run'}: {job.out.name}",
        lead=packaged.NOTE if job.named else f"Checkpoint {job.checkpoint}.",
        prompt=job.prompt or "",
        comparison=comparison,
        contact=contact,
        numbers=numbers,
        lists={"What nano is": packaged.IS, "What it is not": packaged.IS_NOT} if job.named else {},
        tables={"Settings": record["settings"], "Seconds": record["seconds"], "Versions": record["versions"]},
        commands=packaged.TRY_NEXT if job.named else (),
    )
