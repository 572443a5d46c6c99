"""From real clips and 20 drawn videos with planted faults to training, and what of it was right.

    python -m tests.curate.complete_run CLIPS OUT [NAME=VALUE ...]

CLIPS holds videos, and folders of images NAME with their true masks in NAME_mask, which become films of 8 frames a
second. The run uses the embedded defaults of ``curate:things``; start it again after an interruption. It prints the
funnel and the costs, every planted fault with what was said about it, J of the masks, and the losses of five steps of
training.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.curate.agreement import agreements
from tests.curate.drawn_sources import FPS, Drawn, write_sources
from vp_jax.cli import settings
from vp_jax.cli.main import run
from vp_jax.media.masks import read_masks
from vp_jax.media.video import read_video
from vp_jax.media.video_writer import write_video
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics

GOOD, FILMS, HEIGHT, WIDTH = 10, 2, 240, 360


def sources_of(clips: Path, out: Path) -> None:
    """Write videos into ``out/videos``, and what is true of them into ``out/truth.json`` and ``out/truth.npz``."""
    made = write_sources(out / "videos", good=GOOD, films=FILMS, height=HEIGHT, width=WIDTH)
    labels = {drawn.name: drawn.labels_FHW for drawn in made if drawn.labels_FHW is not None}
    for folder in sorted(clips.iterdir()):
        masks = folder.with_name(f"{folder.name}_mask")
        if folder.is_dir() and masks.is_dir():
            frames_FHWC, _ = read_video(folder, folder_fps=FPS)
            write_video(out / "videos" / f"{folder.name}.mp4", frames_FHWC, Fraction(FPS))
            labels[f"{folder.name}.mp4"] = read_masks(masks).astype(np.uint8)
    np.savez_compressed(out / "truth.npz", **labels)
    facts = [{"name": drawn.name, "fault": drawn.fault, "stage": drawn.stage, "cuts": drawn.cuts} for drawn in made]
    (out / "truth.json").write_text(json.dumps(facts))


def print_faults(made: list[Drawn], root: Path) -> None:
    """Every planted fault with the reason that the journal gives."""
    journal = [json.loads(line) for line in (root / "journal.jsonl").read_text().splitlines()]
    reasons = {(line["clip"], line["stage"]): line.get("reason", "") for line in journal}
    faulty = [drawn for drawn in made if drawn.stage]
    named = [drawn.fault in reasons.get((drawn.name, drawn.stage), "") for drawn in faulty]
    for drawn, found in zip(faulty, named):
        print(f"{'found ' if found else 'MISSED'} {drawn.name:<22}{reasons.get((drawn.name, drawn.stage), '')}")
    print(f"{sum(named)} of {len(named)} planted faults found and named")
    pieces = {line["clip"]: line["clips"] for line in journal if line["stage"] == "split" and "clips" in line}
    for drawn in made:
        if drawn.cuts:
            print(f"{drawn.name}, cut at {', '.join(map(str, drawn.cuts))}: {', '.join(pieces.get(drawn.name, []))}")


def print_agreement(root: Path, truth: Path) -> None:
    """J of every masked thing, and their mean by kind of video."""
    with np.load(truth) as labels:
        rows = agreements(root, dict(labels))
    for row in rows:
        print(f"{row.clip:<28}{row.thing:>4}{row.true:>4}{row.j:>8.3f}")
    for kind in ("good", "film", ""):
        values = [row.j for row in rows if row.clip.startswith(kind) and (kind or row.clip[:4] not in ("good", "film"))]
        if values:
            over = np.mean(np.array(values) > 0.5)
            print(f"{kind or 'real':<6}{len(values):>4} masks: mean J {np.mean(values):.3f}, over 0.5 {over:.0%}")


def print_training(root: Path) -> None:
    """Losses of five steps on the shards."""
    config = settings.config_from_file("tiny")
    for change in ("steps=5", f"data.path={root / 'shards'}", "data.kind=vpdata", "validation.every=0"):
        settings.change(config, f"--config.{change}")
    train(config, root / "training")
    losses = [line["loss"] for line in read_metrics(root / "training") if "loss" in line]
    print("losses of five steps:", *(f"{loss:.4f}" for loss in losses))


def main(clips: Path, out: Path, changes: list[str]) -> None:
    """See the top of this file."""
    if not (out / "truth.json").exists():
        sources_of(clips, out)
    made = [Drawn(**fact) for fact in json.loads((out / "truth.json").read_text())]
    root = out / "run"
    given = [str(file) for file in sorted(clips.iterdir()) if file.is_file()]
    flags = [f"--config.{change}" for change in changes]
    run(["curate", *given, str(out / "videos"), str(root), "--config", "curate:things", *flags])
    print_faults(made, root)
    print_agreement(root, out / "truth.npz")
    print_training(root)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
