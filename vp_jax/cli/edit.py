"""Edit a video by an instruction: what is understood is shown, and every part of it can be given by hand.

    vp-jax edit --instruction "make the square a red circle"          the packaged clip and model, without any endpoint
    vp-jax edit --video in.mp4 --instruction "make the dog a fox" --mask box:40,20,90,60 --checkpoint DIR --out out.mp4
    vp-jax edit ... --vlm http://localhost:11434/v1#qwen2.5vl         a model writes the captions and finds the place
    vp-jax edit ... --plan plan.json --dry_run                        write the plan; change it; run without --dry_run
    vp-jax edit ... --first_frame fill --candidates 4                 writes out_first.png; then again with --choose 2
    vp-jax edit ... -- --steps 30 --fit crop                          flags of `vp-jax sample`, behind two dashes

Plain sentences need no model: make or turn X into Y, change the colour of X to Y, remove X, add Y to X, replace X with
Y. The key of an endpoint is read from VP_JAX_VLM_KEY, then OPENAI_API_KEY, and is neither printed nor kept. The result
is that of `vp-jax sample`, and its record holds instruction, plan and the name of the model that wrote it.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path
from typing import Any

from vp_jax.cli import sample
from vp_jax.cli.main import parser_of
from vp_jax.cli.parser import Parser
from vp_jax.cli.paths import at_home
from vp_jax.edit.first_frame import (
    NO_FRAME,
    SAMPLED,
    check_kind,
    is_painted,
    kept_count,
    paint,
    painter_of,
)
from vp_jax.edit.instruction import EDITS
from vp_jax.edit.job import edit_job, sampled_by
from vp_jax.edit.masks import ONE_COLOUR
from vp_jax.edit.plan import EditPlan
from vp_jax.edit.prepare import Given, ReadyEdit, prepare_edit
from vp_jax.edit.wanted import Wanted
from vp_jax.edit.world import packaged_clip, write_world_video
from vp_jax.errors import UserError, escaped
from vp_jax.files import beside
from vp_jax.inference.inputs import Video
from vp_jax.jobs.job import Job
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.outputs import check_outputs
from vp_jax.media.masks import dilate
from vp_jax.media.video_writer import check_output
from vp_jax.reading import show
from vp_jax.segment.backends import named_backend
from vp_jax.vlm import connect

EDIT_OUT = Path("nano_out/edit.mp4")
"""Where the edit of the packaged clip goes, unless asked otherwise."""
_SHARED = ("video", "out", "checkpoint", "seed")
"""Flags that are given to the job as they are."""


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.passes_on = "sample_options"
    flag: Any = parser.add_argument_group("what").add_argument
    flag("--video", type=Path, help="video file or folder of frames; default: the packaged clip")
    flag("--instruction", help="what to do, in one sentence")
    flag("--original_caption", help="what the video shows now; makes the caption after the edit complete")
    flag("--vlm", metavar="URL|local:DIR", help="a vision-language model writes the plan; default: rules do")
    flag("--plan", type=Path, help="plan (.json): read if it exists, else written")
    flag("--dry_run", action="store_true", help="make mask and plan, show them, and stop")
    flag = parser.add_argument_group("in place of what the plan says").add_argument
    flag("--operation", choices=EDITS, help="of the edit; change: another look, swap: another thing")
    flag("--target", help="words of the thing to edit")
    flag("--caption", help="what the edited video shows")
    flag("--region_caption", help="what the edited region shows, for the first frame")
    flag("--negative_prompt", help="what must not be seen")
    flag("--mask", help="file, area:x,y,width,height (still), box:x,y,width,height, points:x,y;... or words")
    flag("--mask_dilate", type=int, help="grow the mask by so many source pixels; default: by the operation")
    flag(
        "--segmenter",
        default=ONE_COLOUR,
        metavar="NAME:WEIGHTS",
        help="what finds boxes, points and words; default: grabcut",
    )
    flag = parser.add_argument_group("first frame").add_argument
    flag("--first_frame", help="picture, original, fill, lama, t2v, diffusers:FOLDER_OR_ID or none")
    flag("--candidates", type=int, help="so many first frames; with more than one, choose and run again")
    flag("--choose", type=int, help="number of the candidate to take")
    flag("--first_seed", type=int, help="seed of the first candidate; the next have the next; default: --seed")
    flag = parser.add_argument_group("job").add_argument
    flag("--out", type=Path, help="as of vp-jax sample; default with the packaged clip: nano_out/edit.mp4")
    flag("--checkpoint", type=Path, help="folder of converted weights; default: the packaged nano model")
    flag("--seed", type=int, help="of all noise; default: 42")


def run(args: argparse.Namespace) -> int:
    """Understand, show, paint the first frame, run the job."""
    try:
        return _run(args)
    except UserError as error:
        flags = [*vars(args), "plan"]
        raise UserError(sample.with_flags(str(error), flags)) from error


def _run(args: argparse.Namespace) -> int:
    given = _given(args)
    out = _out(args)
    clip = packaged_clip() if args.video is None else None
    if clip is not None:
        args.video = beside(out, "_source.mkv")
        write_world_video(clip, args.video)
    base = _base(args, out)
    named_backend(given.segmenter)  # raises: no such backend, or no weights
    if kind := args.first_frame or (given.plan.first_frame if given.plan else None):
        check_kind(kind, drawn=clip is not None)
    video = Video.open(base.video, start=base.start, stop=base.stop, fps=base.fps, folder_fps=base.folder_fps)
    vlm = connect(args.vlm) if args.vlm else None
    options = {"mask_id": base.mask_id, "invert": base.invert_mask, "resize": base.mask_resize}
    given = dataclasses.replace(given, mask_options=options)
    ready = prepare_edit(given, video, out, vlm=vlm, clip=clip, note=lambda line: print(f"track    {escaped(line)}"))
    if args.plan is not None and (given.plan != ready.plan):
        ready.plan.write(args.plan)
        print(f"plan     {show(args.plan)}")
    growth = ready.plan.growth(video.size)
    mask = f"mask     {show(ready.mask)}" + (f", grown by {growth} pixel{'s' * (growth != 1)}" if growth else "")
    for line in [*ready.plan.lines(), mask]:
        print(escaped(re.sub(r"`([a-z_]+)`", r"--\1", line)))
    if args.dry_run:
        print("dry run  nothing was generated")
        return 0
    return _generate(args, base, ready, video)


def _generate(args: argparse.Namespace, base: Job, ready: ReadyEdit, video: Video) -> int:
    loader = ModelCache()
    kind = None if ready.plan.first_frame == NO_FRAME else ready.plan.first_frame
    growth = ready.plan.growth(video.size)
    picture = None if kind is None or is_painted(kind) else kind
    job = edit_job(base, ready.plan, ready.mask, video.size, picture)
    if kind is not None and is_painted(kind):
        if not ready.hole_HW.any():
            raise UserError(f"first_frame {kind}: the mask is empty in the first frame, there is nothing to paint")
        hole_HW = dilate(ready.hole_HW[None], growth)[0]
        wanted = Wanted(
            ready.frame_HWC, hole_HW, ready.plan.region_caption or str(job.prompt), job.negative_prompt or ""
        )
        first = base.settings.get("seed", 42) if args.first_seed is None else args.first_seed
        seeds = [first + number for number in range(_count(args, base.out))]
        model = [str(job.checkpoint), job.settings, str(job.model_options), job.prompt] if kind == SAMPLED else []
        found = paint(kind, wanted, seeds, base.out, painter_of(kind, sampled_by(job, loader), ready.drawn_HWC), model)
        print(f"first    {len(found.files)} painted, see {show(found.sheet)}")
        if args.choose is None and len(seeds) > 1:
            print("choose   run the same command again with --choose NUMBER")
            return 0
        chosen = found.chosen(args.choose or 1)
        job = edit_job(base, ready.plan, ready.mask, video.size, str(chosen))
    sample.show_run(job, loader)
    return 0


def _count(args: argparse.Namespace, out: Path) -> int:
    """How many candidates there are: as given; to choose from, as many as were painted before."""
    return int(args.candidates or (1 if args.choose is None else kept_count(out)))


def _given(args: argparse.Namespace) -> Given:
    names = [field.name for field in dataclasses.fields(Given) if field.name not in ("plan", "mask_options")]
    plan = EditPlan.read(args.plan) if args.plan is not None and args.plan.exists() else None
    if plan is not None and args.instruction and args.instruction != plan.instruction:
        raise UserError(
            f"plan {show(args.plan)} is of another instruction, {show(plan.instruction)!r}: leave --instruction off, "
            "or name another file"
        )
    if plan is None and not args.instruction and not args.operation:
        raise UserError("expected --instruction, or --operation with --caption, or a --plan that exists")
    if args.candidates is not None and not 1 <= args.candidates:
        raise UserError(f"candidates {args.candidates}: expected 1 or more")
    return Given(plan=plan, **{name: getattr(args, name) for name in names})


def _out(args: argparse.Namespace) -> Path:
    if args.out is None and args.video is not None:
        raise UserError("--out not given: expected a name such as out.mp4")
    out = check_output(args.out or EDIT_OUT)
    if args.choose is not None and not 1 <= args.choose <= (count := _count(args, out)):
        raise UserError(f"choose {args.choose}: expected 1 to {count}, the number of candidates")
    ours = [beside(out, end) for end in ("_mask.mkv", "_first.png", *(("_source.mkv",) if args.video is None else ()))]
    check_outputs([out, *ours, *([args.plan] if args.plan else [])], [args.video] if args.video else [])
    return out


def _base(args: argparse.Namespace, out: Path) -> Job:
    """The job but for what the plan says; a mistake in it is found before any model is asked."""
    parser = parser_of("sample", "vp-jax edit ... --")
    own = [name for name in parser.actions() if name in vars(args) and f"--{name}" in _flags_of(args.sample_options)]
    if own:
        raise UserError(f"--{own[0]} behind --: give it before the two dashes")
    values = {name: getattr(args, name) for name in _SHARED} | {"out": out, "mask": args.video, "prompt": "-"}
    return sample.job_of(at_home(parser.parse_args(args.sample_options, argparse.Namespace(**values))))


def _flags_of(options: list[str]) -> set[str]:
    return {option.partition("=")[0] for option in options}
