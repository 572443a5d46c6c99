"""What does a style LoRA of six clips change? A picture before and after, and the PSNR in holes.

    python -m bench.style [--steps 300] [--docs docs/nano]

The style is the flat look of the drawn world, which nano has never seen: things without light and shadow, other
backgrounds. Six clips of it are written as videos with captions, ``configs/style_lora.py`` fits a LoRA to nano's
backbone, and holes of held-out clips of that look are filled without and with the adapter. The same command continues
an interrupted training.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.timing import machine
from vp_jax import Mask, Pipeline
from vp_jax.cli.main import run
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.eval.bootstrap import interval
from vp_jax.eval.video_metrics import psnr
from vp_jax.inference.named import NAMED
from vp_jax.jobs import packaged
from vp_jax.media.canvas import composite
from vp_jax.media.pictures import PictureRow, grid, masked
from vp_jax.media.video_writer import write_video
from vp_jax.world.synthetic import HELD_OUT, World, WorldClip

LOOK, CLIPS, WINDOWS = "flat", 6, 2
SHOWN = 3
"""Held-out clips in the picture."""


class Filled(NamedTuple):
    """A held-out clip, its hole, and the results without and with the adapter; uint8 FHWC, bool FHW."""

    truth_FHWC: np.ndarray
    holes_FHW: np.ndarray
    before_FHWC: np.ndarray
    after_FHWC: np.ndarray


def caption_of(clip: WorldClip) -> str:
    """The clip's words, with the word of the style."""
    return f"{LOOK} {clip.caption}"


def write_clips(folder: Path) -> None:
    """Six videos, each with its caption beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    frames, height, width = packaged.CLIP_SIZE
    for number, clip in enumerate(World(CLIPS, WINDOWS * frames, height, width, look=LOOK)[i] for i in range(CLIPS)):
        write_video(folder / f"{number}.mkv", clip.read(np.arange(clip.frames))[0], clip.open().fps)
        (folder / f"{number}.txt").write_text(caption_of(clip) + "\n")


def train(out: Path, steps: int) -> Path:
    """Fit the adapter; the folder of its weights."""
    if not (out / "run" / "export").is_dir():
        write_clips(out / "clips")
        settings = {
            "model.checkpoint": NAMED["nano"].folder,
            "data.path": out / "clips",
            "steps": steps,
            "loader.batch_size": CLIPS,
            "optimizer.lr": 1e-3,
            "optimizer.warmup": 20,
            "validation.every": 0,
        }
        given = [f"--config.{name}={value}" for name, value in settings.items()]
        if run(["train", "--config", "style_lora:nano_branch", "--workdir", str(out / "run"), *given]):
            raise UserError(f"{out / 'run'}: the training stopped, the same command continues it")
    return out / "run" / "export" / "style_lora"


def fill(adapter: Path, count: int) -> list[Filled]:
    """Held-out clips of the style, filled without and with the adapter; frame 0 is given."""
    pipes = [Pipeline.load("nano"), Pipeline.load("nano", loras=[(adapter, 1.0)])]
    found = []
    for clip in (World(count, *packaged.CLIP_SIZE, first=HELD_OUT, look=LOOK)[i] for i in range(count)):
        frames_FHWC, masks_FHW = clip.read(np.arange(clip.frames))
        mask = Mask(masks_FHW > 0, grow=packaged.GROW)
        results = [pipe(frames_FHWC, mask, caption_of(clip), first_frame="original") for pipe in pipes]
        holes_FHW = results[0].request.holes_FHW.copy()
        holes_FHW[0] = False
        pasted = [composite(frames_FHWC, result.frames_FHWC, holes_FHW) for result in results]
        found.append(Filled(frames_FHWC, holes_FHW, *pasted))
    return found


def picture(found: Sequence[Filled], path: Path) -> None:
    """Draw the first clips: hole, without the adapter, with it, truth; every fourth frame."""
    rows = []
    for one in found:
        hidden = [masked(frame, hole) for frame, hole in zip(one.truth_FHWC, one.holes_FHW)]
        for label, frames in (
            ("hole", hidden),
            ("nano", one.before_FHWC),
            ("with the LoRA", one.after_FHWC),
            ("truth", one.truth_FHWC),
        ):
            rows.append(PictureRow(label, [np.asarray(frame).repeat(2, 0).repeat(2, 1) for frame in frames[::4]]))
    grid(rows, left=130).save(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/style"), help="folder of clips, training and picture")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--clips", type=int, default=16, help="held-out clips that are filled")
    parser.add_argument("--docs", type=Path, help="folder for the picture; default: OUT")
    args = parser.parse_args(argv)
    if args.steps < 1 or args.clips < 1:
        raise UserError(f"--steps {args.steps}, --clips {args.clips}: expected 1 or more")
    found = fill(train(args.out, args.steps), args.clips)
    print(f"PSNR in the hole of {args.clips} held-out clips of the look {LOOK}, dB; {machine()}")
    values = {
        name: [psnr(one.truth_FHWC, getattr(one, field), one.holes_FHW) for one in found]
        for name, field in (("nano", "before_FHWC"), ("with the LoRA", "after_FHWC"))
    }
    values["difference"] = [after - before for before, after in zip(*values.values())]
    for name, each in values.items():
        mean, low, high, _ = interval(each)
        print(f"{name}: {mean:.2f} [{low:.2f}, {high:.2f}]")
    path = (args.docs or args.out) / "style.png"
    picture(found[:SHOWN], path)
    print(f"done     {path}")


if __name__ == "__main__":
    run_cli(main)
