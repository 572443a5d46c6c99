"""What a run leaves beside its result: comparison video, contact sheet, record and page; every frame is read once."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image

from vp_jax.errors import escaped
from vp_jax.eval import video_metrics
from vp_jax.files import write_atomically, write_text
from vp_jax.inference.result import Result
from vp_jax.jobs import packaged
from vp_jax.jobs.job import Job
from vp_jax.jobs.manifest import ChosenWindow
from vp_jax.jobs.memory import peak_memory
from vp_jax.jobs.outputs import COMPARISON, outputs
from vp_jax.jobs.report.clip import ClipWriter, PageClip, panel_of
from vp_jax.jobs.report.measured import HoleMeter
from vp_jax.jobs.report.page import Drawn, PageWords, page
from vp_jax.media import pictures
from vp_jax.media.fidelity import Fidelity
from vp_jax.media.streams.carried import Carried
from vp_jax.media.video_writer import write_video
from vp_jax.provenance import versions

_KEYFRAMES = 24
"""Most frames between key frames of the comparison: a player shows what was written up to the last one."""


class Pictures(NamedTuple):
    """What was drawn and measured of a result.

    Attributes:
      meter: of the hole, every frame taken.
      clip: the video of the page; None without a page, or if it is too long for one.
      contact: the contact sheet.
      comparison: the comparison video, where it was written first; None if there is none.
    """

    meter: HoleMeter
    clip: PageClip | None
    contact: Image
    comparison: Path | None = None


class Checked(NamedTuple):
    """What was found before and while the result was written.

    Attributes:
      carried: what became of everything of the source but its pictures.
      lost: lines about what the format does not hold.
      outside: how the written pixels outside of the hole differ; None: not measured.
      mask_note: how the mask was read, "" if that needs no word.
      mask_findings: what is odd about it.
      mask_grown: source pixels by which the hole was grown on each side.
    """

    carried: Sequence[Carried] = ()
    lost: Sequence[str] = ()
    outside: Fidelity | None = None
    mask_note: str = ""
    mask_findings: Sequence[str] = ()
    mask_grown: int = 0


def draw_pictures(job: Job, result: Result, folder: Path, ready: Iterator[int]) -> Pictures:
    """Draw what goes beside a result, and measure its hole, as its frames get ready; every frame is made once.

    Args:
      job: what is asked for.
      result: whose frames come in their order.
      folder: of the job; the comparison video grows there and can be watched.
      ready: yields once for each frame that there is.
    """
    request, frames = result.request, len(result)
    meter = HoleMeter(request.plan.windows, request.settings.overlap or 0, request.plan.cuts)
    numbers = pictures.evenly(frames, pictures.SHEET_COLUMNS)
    chosen: list[pictures.Shown] = []
    panel = panel_of(*request.video.size, frames) if job.report is not None else None
    clock, _ = request.video.first(frames)
    with ClipWriter(panel, request.video.fps) if panel else contextlib.nullcontext() as writer:

        def passing() -> Iterator[pictures.Shown]:
            for number, shown in zip(
                itertools.islice(ready, frames), itertools.starmap(pictures.Shown, result.shown())
            ):
                meter.add(shown.result_HWC, shown.hole_HW)
                if number in numbers:
                    chosen.append(shown)
                if writer is not None:
                    writer.add(shown.original_HWC, shown.result_HWC)
                yield shown

        comparison = folder / COMPARISON if job.comparison else None
        if comparison is not None:
            compared = pictures.compared(passing())
            write_video(comparison, compared, request.video.fps, clock=clock, keyframes=_KEYFRAMES, growing=True)
        else:
            collections.deque(passing(), maxlen=0)
        clip = writer.finish() if writer is not None else None
    parts = (np.stack(part) for part in zip(*chosen))
    sheet = pictures.contact_sheet(*parts, title=escaped(job.prompt or ""), numbers=numbers)
    return Pictures(meter, clip, sheet, comparison)


def place_pictures(hidden: Job, drawn: Pictures) -> None:
    """Write the contact sheet, and move the comparison to its place."""
    _, comparison, contact, _ = outputs(hidden.out)
    if drawn.comparison is not None:
        drawn.comparison.replace(comparison)
    write_atomically(contact, drawn.contact.save)


def record_of(
    job: Job,
    result: Result,
    seconds: Mapping[str, float],
    *,
    drawn: Pictures,
    checked: Checked,
    cache: Path | None,
    windows: Sequence[ChosenWindow] = (),
    window_seconds: Mapping[int, float] | None = None,
    window_memory: Mapping[int, Mapping[str, int]] | None = None,
) -> dict[str, Any]:
    """Everything that made a result, and what is known about it, as JSON values but for paths."""
    request, meter = result.request, drawn.meter
    return {
        "settings": dataclasses.asdict(request.settings),
        "arguments": dataclasses.asdict(job),
        "seconds": dict(seconds),
        "window_seconds": [_rounded((window_seconds or {}).get(k)) for k in range(len(request.plan.windows))],
        "window_memory": [dict((window_memory or {}).get(k, {})) for k in range(len(request.plan.windows))],
        "memory": peak_memory(),
        "versions": versions(),
        "frames": len(result),
        "source_frames": len(request.video),
        "fps": str(request.video.fps),
        "source_size": request.video.size,
        "model_size": request.size,
        "fit": {"name": job.fit, "box": request.fit.boxes[0].size, "boxes": len(set(request.fit.boxes))},
        "windows": list(request.plan.windows),
        "cuts": list(request.plan.cuts),
        "seeds": [window.seed for window in windows],
        "prompts": [window.prompt for window in windows],
        "padded_frames": request.plan.padded_frames,
        "audio_copied": any(found.kind == "sound" and found.how == "copied" for found in checked.carried),
        "carried": [found.line for found in checked.carried],
        "lost": list(checked.lost),
        "outside": checked.outside and checked.outside.record,
        "mask": {
            "share": float(np.mean(meter.areas)),
            "frames": int(np.count_nonzero(meter.areas)),
            "grown": checked.mask_grown,
            "note": checked.mask_note,
            "findings": list(checked.mask_findings),
        },
        "continuity": meter.record,
        "compilation_cache": cache,
        "hole": measure(result) if job.demonstration else None,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def measure(result: Result) -> dict[str, float]:
    """How near the hole is to what was there, for a prompt that describes it, and how near one colour would be.

    Holds all frames: this is for the packaged clip, which is short.
    """
    request, frames_FHWC = result.request, result.frames_FHWC
    truth_FHWC, holes_FHW = (np.stack(part[: len(result)]) for part in (request.video.frames_FHWC, request.holes_FHW))
    flat_FHWC = truth_FHWC.copy()
    flat_FHWC[holes_FHW] = np.rint(truth_FHWC[~holes_FHW].mean(axis=0))
    return {
        "psnr": video_metrics.psnr(truth_FHWC, frames_FHWC, holes_FHW),
        "ssim": video_metrics.ssim(truth_FHWC, frames_FHWC, holes_FHW),
        "mean_colour_psnr": video_metrics.psnr(truth_FHWC, flat_FHWC, holes_FHW),
    }


def write_record(job: Job, hidden: Job, record: Mapping[str, Any], drawn: Pictures) -> None:
    """Write ``out.json`` and, if the job wants one, the page.

    Args:
      job: its files are what the page links to.
      hidden: the same job, its files where they are written until all are complete.
      record: see `record_of`.
      drawn: see `draw_pictures`.
    """
    write_text(outputs(hidden.out).record, json.dumps(record, indent=2, default=str) + "\n")
    if job.report is not None and hidden.report is not None:
        areas, boxes = drawn.meter.areas, drawn.meter.boxes
        shown = Drawn(outputs(hidden.out).contact.read_bytes(), drawn.clip, boxes, int(np.argmax(areas)))
        write_text(hidden.report, page(record, _words(job, record), shown, _files(job), job.report))


def _words(job: Job, record: Mapping[str, Any]) -> PageWords:
    hole = record["hole"]
    numbers = []
    if hole:
        numbers = [
            (f"{hole['psnr']:.1f} dB", "PSNR in the hole against what was there"),
            (f"{hole['ssim']:.2f}", "SSIM in the hole"),
            (f"{hole['mean_colour_psnr']:.1f} dB", "PSNR of the hole filled with the mean colour"),
        ]
    return PageWords(
        title=f"VideoPainter {job.checkpoint if job.named else 'run'}: {job.out.name}",
        lead=packaged.NOTE if job.named else f"Checkpoint {job.checkpoint}.",
        prompt=job.prompt or "",
        numbers=numbers,
        lists={"What nano is": packaged.IS, "What it is not": packaged.IS_NOT} if job.named else {},
        commands=packaged.TRY_NEXT if job.named else (),
    )


def _files(job: Job) -> dict[str, Path]:
    """What the page links to, by names for people."""
    result, comparison, contact, record = outputs(job.out)
    return {
        f"result: {result.name}": result,
        **({"comparison": comparison} if job.comparison else {}),
        "contact sheet": contact,
        "record: settings, measurements and versions as JSON": record,
        f"source: {Path(job.video).name}": Path(job.video),
        **({f"mask: {Path(job.mask).name}": Path(job.mask)} if job.mask is not None else {}),
    }
