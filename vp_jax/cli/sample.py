"""Fill the masked region of a video with what a prompt describes.

    vp-jax sample                             a clip of the packaged nano model's world, see nano_out/nano_report.html
    vp-jax sample --checkpoint DIR --video in.mp4 --mask mask.mp4 --prompt "a red fox runs" --out out.mp4
    vp-jax sample --out out.mp4 --redo_window 3 --seed 7      window 3 of that run anew, with other noise
    vp-jax sample --table jobs.csv --checkpoint DIR           a row is a job, a column a flag: video,mask,prompt,out

Writes out.mp4 (the source's size, frames, frame times, other streams, pixel format and depth), out_comparison.mp4,
out_contact.png and out.json (settings, seed, versions, times). Outside of the mask .mkv, and a folder of PNG of an RGB
source, hold its samples bit for bit; mp4 encodes them again, and the difference is printed. Everything cheap is
checked before a model is loaded, and an existing result is replaced only by a finished one. Finished windows lie in
out.job: after Ctrl-C, SIGTERM or a crash the same command continues there. Masks: white, or label --mask_id, marks what
is generated. Sound, subtitles, chapters, attachments and tags are carried over, each in a line.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from vp_jax.cli.main import parser_of
from vp_jax.cli.parser import Parser
from vp_jax.cli.paths import at_home
from vp_jax.cli.program import status_of
from vp_jax.cli.sample_flags import add_arguments
from vp_jax.cli.tracked import tracked_mask
from vp_jax.errors import UserError, escaped
from vp_jax.files import beside
from vp_jax.inference.plan import Position
from vp_jax.inference.task import REMOVE
from vp_jax.jobs import packaged
from vp_jax.jobs.claim import claimed
from vp_jax.jobs.events import Done, Estimate, JobEvent, MediaRead, Note, Planned
from vp_jax.jobs.job import Job, Redo
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.outputs import job_folder
from vp_jax.jobs.progress import Progress
from vp_jax.jobs.redo import redo_job
from vp_jax.jobs.run import run as run_job
from vp_jax.jobs.table import JobRow, Results, check_outs, digest_of, read_jobs, results_file, run_rows
from vp_jax.media.fit import Fit
from vp_jax.media.video import FOLDER_FPS
from vp_jax.media.video_writer import check_output
from vp_jax.reading import show

_IN_FILES = ("prompt_embeds",)
"""Flags that are also names in the files they take."""

_NO_COLUMNS = ("help", "table", "preview", "redo_window", "dry_run", "fresh")
"""Flags that are no columns of a table."""
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")

__all__ = ["add_arguments", "job_of", "run"]

SETTINGS = ("steps", "guidance", "guidance_start", "guidance_stop", "sampler", "seed", "window", "overlap", "mode")
SETTINGS += ("clip_weight", "joint", "hole_fill", "replace_background", "step_cache", "background_every")
"""Flags that are settings of the sampler; what is not given stays the model's default."""


def job_of(args: argparse.Namespace) -> Job:
    """The job that a command line describes; without ``--checkpoint``, one of the packaged model.

    Raises:
      UserError: what cannot work, in one line.
    """
    values = {name: value for name, value in vars(args).items() if name not in ("table", "dry_run")}
    settings = {name: value for name in SETTINGS if (value := values.pop(name)) is not None}
    if values.pop("static_guidance"):
        settings["dynamic_guidance"] = False
    values["id_adapter"] = values["id_adapter"] == "auto"
    segmenter = values.pop("segmenter")
    values["loras"] = tuple(_lora(text) for text in values.pop("lora"))
    if (window := values.pop("redo_window")) is not None:
        return _redo_of(window, values, settings)
    if values["checkpoint"] is None:
        values["checkpoint"], values["out"] = "nano", values["out"] or packaged.OUT
        values["report"] = values["report"] or beside(check_output(values["out"]), "_report.html")
        if values["video"] is None and values["mask"] is None and values["extend"] is None:
            shown = packaged.demonstration(values["out"])
            if values["task"] == REMOVE:
                shown = {name: value for name, value in shown.items() if name not in ("prompt", "first_frame")}
            values |= {name: value for name, value in shown.items() if values.get(name) is None}
    needed = ("video", "out") if values["extend"] else ("video", "mask", "out")
    missing = [f"--{name}" for name in needed if values[name] is None]
    if missing:
        raise UserError(f"{' and '.join(missing)} not given: expected --video, --mask and --out, or no argument at all")
    _check_first_frame(values["first_frame"])
    job = Job(**values, settings=settings)  # raises: mistakes that cost nothing to find, before anything is tracked
    if values["mask"] is not None and not os.path.lexists(values["mask"]):
        return dataclasses.replace(job, mask=tracked_mask(values, segmenter))
    return job


def _check_first_frame(text: str | None) -> None:
    """Say where first frames are painted, to those who ask for it here."""
    from vp_jax.edit.first_frame import is_painted  # OpenCV, only where it is needed

    if text is not None and not os.path.lexists(text) and is_painted(text):
        raise UserError(
            f"first_frame {show(text)}: here it is a picture, or original; vp-jax edit paints first frames, by "
            "instruction or with --operation, --caption and --mask"
        )


def _redo_of(window: int, values: dict[str, Any], settings: dict[str, Any]) -> Job:
    """The kept job with one window anew; what is not given is what it was."""
    usual = {field.name: field.default for field in dataclasses.fields(Job)}
    given = {name: value for name, value in values.items() if value is not None and value != usual[name]}
    redo = Redo(window, settings.pop("seed", None), given.pop("prompt", None))
    return redo_job(given.pop("out", packaged.OUT), redo, {**given, "settings": settings})


def _lora(text: str) -> tuple[Path, float]:
    """A style adapter and its scale from ``PATH`` or ``PATH:SCALE``."""
    path, _, scale = text.rpartition(":")
    try:
        lora = (Path(path), float(scale)) if path else (Path(text), 1.0)
    except ValueError:
        lora = (Path(text), 1.0)
    if not os.path.exists(lora[0]):
        raise UserError(f"--lora {text}: no such file, expected PATH or PATH:SCALE")
    return lora


def with_flags(message: str, flags: Iterable[str]) -> str:
    """An error of the library, which speaks of arguments, in the words of the command line.

    Names in backticks, ``name value`` at the start and names that can be nothing else become ``--name``.
    """
    known = sorted(map(re.escape, flags), key=len, reverse=True)
    names, sure = "|".join(known), "|".join(name for name in known if "_" in name and name not in _IN_FILES)
    message = re.sub(rf"`({names})`", r"--\1", message)
    message = re.sub(rf"(?<![\w./-])({sure})(?![\w./])", r"--\1", message)
    if pairs := re.match(rf"(?:(?:{names}) \S+ )*(?:{names}) \S+(?=:)", message):
        return re.sub(rf"(^| )({names})(?= )", r"\1--\2", pairs[0]) + message[pairs.end() :]
    return f"--{message}" if re.match(rf"(?!out )(?:{names}) .*:", message) else message


def lines_of(event: JobEvent, job: Job) -> list[str]:
    """What to print about an event."""
    if isinstance(event, MediaRead):
        return _lines_read(event, job)
    if isinstance(event, Planned):
        return _lines_planned(event, job)
    if isinstance(event, Note):
        text = re.sub("`([a-z_]+)`", r"--\1", event.text)
        return [f"{event.topic:8} {text}"]
    if isinstance(event, Estimate):
        return _lines_estimated(event)
    if isinstance(event, Done):
        return _lines_done(event, job)
    return []


def _lines_read(event: MediaRead, job: Job) -> list[str]:
    height, width = event.size
    out = [f"video    {job.video}: {event.frames} frames, {width}x{height}, {float(event.fps):.4g} per second"]
    if job.fps is None and event.fps >= 2 * FOLDER_FPS:
        out.append("         the models learned motion at 8 frames per second; --fps 8 thins the source to about that")
    share = f"{100 * event.hole_share:.2g} %"
    out.append(f"mask     {job.mask or 'the border'}: hole {share} of all pixels, in {event.hole_frames} frames")
    return [*out, f"         {event.note}"] if event.note else out


def _lines_planned(event: Planned, job: Job) -> list[str]:
    (height, width), (rows, columns) = event.size, event.source_size
    stretched = f"{columns}x{rows} stretched to {width}x{height} and back"
    way, change = "as it is" if event.size == event.source_size else stretched, width / height / (columns / rows) - 1
    if event.fit is not None and job.fit != "stretch" and way == stretched:
        way, change = _fitted(event.fit, job.fit), 0.0
    settings, plan = event.settings, event.plan
    out = [
        f"size     {way}" + (f", aspect changed by {change:+.0%} meanwhile" if abs(change) > 0.01 else ""),
        f"windows  {len(plan.windows)} of {settings.window} frames, {settings.overlap} shared with the next, "
        f"{settings.steps} steps each",
    ]
    if plan.padded_frames > event.frames:
        out.append(f"         {event.frames} frames padded to {plan.padded_frames}, the padding is cut off again")
    if plan.output_frames < event.frames:
        out.append(f"         reference mode drops the tail: {plan.output_frames} of {event.frames} frames come out")
    return [*out, "writes   " + ", ".join(map(str, event.files))]


def _fitted(fit: Fit, name: str) -> str:
    """What a letterbox or a crop does to the sizes."""
    (rows, columns), box, inside = fit.source, fit.boxes[0], fit.inside
    detail = "full detail" if fit.detail >= 1 else f"{fit.detail:.0%} of its detail"
    if name == "letterbox":
        return f"{columns}x{rows} as {inside.width}x{inside.height} within {fit.model[1]}x{fit.model[0]}, and back"
    still = "one place holds the hole" if len(fit.boxes) == 1 else "follows the hole"
    return f"{columns}x{rows}: a crop of {box.width}x{box.height}, {detail}, {still}"


def _lines_estimated(event: Estimate) -> list[str]:
    known = "not known before a first run" if event.seconds is None else f"{event.seconds:.0f} s of denoising"
    weights = f"{event.weights / 1e9:.3g} GB weights"
    return [
        f"memory   about {event.peak / 1e9:.3g} GB of the device, while {event.at}: {weights},",
        "         the rest estimated from sizes; vp-jax compile TARGET --sample compiles the 5B model and is exact",
        f"disk     {event.disk / 1e6:.3g} MB of latents in OUT.job",
        f"time     {known}",
        "dry run  nothing was loaded or written",
    ]


def _lines_done(event: Done, job: Job) -> list[str]:
    lines = [f"done     {job.report or job.out} in {sum(event.seconds.values()):.0f} s"]
    if event.kept:
        folder, size = event.kept
        lines.append(f"kept     {folder}, {size / 1e6:.3g} MB, for --redo_window; --no_keep_job removes it")
    return lines


def run(args: argparse.Namespace) -> int:
    """Check, read, load, generate, write."""
    if args.table is not None:
        return _run_table(args)
    try:
        show_run(job_of(args), dry=args.dry_run)
    except UserError as error:
        raise UserError(with_flags(str(error), vars(args))) from error
    return 0


def _run_table(args: argparse.Namespace) -> int:
    """Run the rows of a table in this process, with one model in memory; 1 if a row failed."""
    for name in ("redo_window", "dry_run", "preview"):
        if getattr(args, name):
            raise UserError(f"--{name} with --table: a table is run, leave one of them off")
    parser = parser_of("sample")
    rows = read_jobs(args.table, [name for name in parser.actions() if name not in _NO_COLUMNS])
    check_outs(args.table, [(row.number, Path(row.values.get("out") or args.out or packaged.OUT)) for row in rows])
    common = {name: value for name, value in vars(args).items() if name not in _NO_COLUMNS}
    digests, loader, path = {row.number: digest_of(row, common) for row in rows}, ModelCache(), results_file(args.table)

    def run_row(row: JobRow) -> Path:
        print(f"row      {row.number} of {rows[-1].number}")
        try:
            job = job_of(_at_row(row, args, parser))
            show_run(job, loader)
        except UserError as error:
            raise UserError(with_flags(str(error), vars(args))) from error
        return job.out

    def failed(error: Exception) -> str:
        status_of(error)
        return str(error) if isinstance(error, UserError) else f"unexpected {type(error).__name__}: {error}"

    with claimed(path):
        results = Results(path, fresh=args.fresh)
        if before := sum(results.done(row, digests[row.number]) for row in rows):
            print(f"table    {before} of {len(rows)} rows were finished before")
        outcomes = list(run_rows(rows, results, digests, run_row, failed, time.perf_counter))
    bad = sum(bool(outcome.error) for outcome in outcomes)
    print(f"table    {len(rows) - bad} of {len(rows)} rows are finished, see {show(path)}")
    return int(bad > 0)


def _at_row(row: JobRow, args: argparse.Namespace, parser: Parser) -> argparse.Namespace:
    """The arguments of a row: those of the command line, and on top what the row says."""
    flags, actions = [], parser.actions()
    for name, text in row.values.items():
        if actions[name].nargs != 0:
            flags.append(f"--{name}={text}")
        elif (word := text.strip().lower()) not in (*_YES, *_NO):
            raise UserError(f"{name} {show(text)}: expected true or false")
        elif word in _YES:
            flags.append(f"--{name}")
    return at_home(parser.parse_args(flags, argparse.Namespace(**{**vars(args), "table": None})))


def show_run(job: Job, loader: ModelCache | None = None, *, dry: bool = False) -> None:
    """Run a job and print what happens."""
    if job.named and loader is None:
        print(packaged.NOTE)
    try:
        with closing(_events(job, loader, dry)) as events, Progress() as progress:
            for event in events:
                if isinstance(event, Position):
                    progress(*event)
                    continue
                progress.close()
                for line in lines_of(event, job):
                    print(escaped(line))
    except KeyboardInterrupt:
        kept = job_folder(job.out)
        if kept.is_dir():
            print(f"stopped: {show(kept)} holds what is finished, the same command continues there", file=sys.stderr)
        raise


def _events(job: Job, loader: ModelCache | None, dry: bool) -> Generator[JobEvent, None, None]:
    if not dry:
        yield from run_job(job, loader)
        return
    from vp_jax.jobs.dry_run import dry_run

    yield from dry_run(job)
