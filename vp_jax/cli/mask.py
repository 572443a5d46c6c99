"""Make the mask of a video: a box, points or words in one frame, tracked through all of it.

    vp-jax mask in.mp4 --box 40,20,100,80 --out mask.mkv --preview sheet.png
    vp-jax mask in.mp4 --points "60,40;80,50;-10,10" --out mask.mkv      minus before x: not part of the thing
    vp-jax mask in.mp4 --box 40,20,100,80 --points 60,40@30 --out mask.mkv      corrected on frame 30
    vp-jax mask in.mp4 --box 1:40,20,100,80 --box 2:10,10,30,30 --out mask.mkv  two things
    vp-jax mask in.mp4 --words "the red car" --backend sam3_video --weights DIR --out mask.mkv

Positions are pixels, frames count from 0. White marks the thing. The default backend, grabcut, needs no weights; of
words it understands one colour. The others run models through transformers (extra `segment`), with weights that you
name: sam2_video, edgetam_video (boxes, points), sam3_video (words), grounding_dino (words, with SAM 2 in --sam2).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError, escaped
from vp_jax.reading import show
from vp_jax.segment.prompts import AnyPrompt, parse_prompts
from vp_jax.segment.refine import Refinement

_THING = re.compile(r"(\d+):(.*)", re.DOTALL)


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.add_argument("video", type=Path, metavar="VIDEO", help="video file or folder of frames")
    prompts = parser.add_argument_group(
        "what to mask; each may be repeated, and begins with N: for thing N"
    ).add_argument
    prompts("--box", action="append", default=[], metavar="x,y,w,h[@frame]", help="a rectangle that holds the thing")
    prompts("--points", action="append", default=[], metavar="x,y;x,y[@frame]", help="points of it; -x,y: not of it")
    prompts("--words", action="append", default=[], help="a noun phrase that names it")
    output = parser.add_argument_group("output").add_argument
    output("--out", type=Path, required=True, help=".mkv (lossless), or a name without suffix for a folder of PNG")
    output("--preview", type=Path, help="also write this picture (.png) of the masks")
    output("--only", type=int, action="append", default=[], metavar="N", help="write thing N alone; may be repeated")
    after = parser.add_argument_group("what is done to the masks, in this order").add_argument
    after("--smooth", type=int, default=0, metavar="FRAMES", help="majority of so many frames on each side")
    after("--fill", action="store_true", help="what the thing encloses becomes part of it")
    after("--shrink", type=int, default=0, metavar="PIXELS", help="take off so many pixels on each side")
    after("--grow", type=int, default=0, metavar="PIXELS", help="add so many pixels on each side")
    after("--invert", action="store_true", help="mark everything but the thing")
    how = parser.add_argument_group("how").add_argument
    how("--backend", default="grabcut", help="grabcut (default), sam2_video, edgetam_video, sam3_video, grounding_dino")
    how("--weights", help="folder or hub id of the backend's weights")
    how("--sam2", help="folder or hub id of SAM 2, for grounding_dino")
    how("--start", type=int, default=0, help="first frame that is tracked; those before it get an empty mask")
    how("--stop", type=int, help="frame to stop before")


def run(args: argparse.Namespace) -> None:
    """Track, write, check the mask, and print what was found."""
    from vp_jax.segment.mask_files import write_masks

    prompts = prompts_of(args.box, args.points, args.words)
    refinement = Refinement(args.smooth, args.fill, args.shrink, args.grow, args.invert)
    if args.preview is not None and args.preview.suffix != ".png":
        raise UserError(f"--preview {args.preview}: expected a name that ends in .png")
    if args.out.resolve() == args.video.resolve():
        raise UserError(f"--out {args.out}: is the video itself, choose another name")
    options: dict[str, Any] = {name: getattr(args, name) for name in ("weights", "sam2") if getattr(args, name)}
    report = write_masks(
        args.video,
        prompts,
        args.out,
        backend=args.backend,
        refinement=refinement,
        only=args.only,
        start=args.start,
        stop=args.stop,
        **options,
    )
    for line in report.lines():
        print(f"track    {escaped(line)}")
    for line in _checked(args):
        print(f"mask     {escaped(line)}")
    print(args.out)


def prompts_of(boxes: Sequence[str], points: Sequence[str], words: Sequence[str]) -> list[AnyPrompt]:
    """Prompts from the values of the flags.

    Raises:
      UserError: a value in another form, or none at all.
    """
    found: list[AnyPrompt] = []
    for kind, texts in (("box:", boxes), ("points:", points), ("", words)):
        for text in texts:
            numbered = _THING.fullmatch(text)
            thing, rest = (int(numbered[1]), numbered[2]) if numbered else (1, text)
            found += parse_prompts(kind + rest, thing)
    if not found:
        raise UserError("no prompt given: expected --box, --points or --words")
    return found


def _checked(args: argparse.Namespace) -> list[str]:
    """What is odd about the written mask; draws the preview."""
    from vp_jax.inference.inputs import Mask, Video
    from vp_jax.jobs.preview import write_preview
    from vp_jax.media.mask_check import check_masks

    video = Video.open(args.video, start=args.start, stop=args.stop)
    holes_FHW = Mask.open(args.out, like=video).fitted(video)
    check = check_masks(holes_FHW)
    if args.preview is not None:
        write_preview(args.preview, video.frames_FHWC, holes_FHW, check)
        return [*check.notes, f"preview in {show(args.preview)}"]
    return list(check.notes)
