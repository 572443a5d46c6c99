"""Fewer and cheaper steps, measured on held-out drawn clips against the truth and against all steps.

    python -m bench.steps cache --clips 16                 step cache, against fewer steps
    python -m bench.steps guidance --clips 16              guidance interval
    python -m bench.steps background --clips 16            hole steps between full steps, by size of the hole
    python -m bench.steps distill --clips 16 --steps 50 --student 4=RUN_4/export --student 8=RUN_8/export

A pass is one prompt through the networks: a guided step takes two, one that computes a part of the tokens that part of
them. PSNR is that of the hole, frame 0 generated too.
"""

from __future__ import annotations

import argparse
import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.ablation import arguments
from bench.nano import cases
from bench.nano.batched import BatchSampler
from bench.nano.runner import strip
from bench.timing import machine
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.eval import video_metrics
from vp_jax.eval.bootstrap import interval
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.settings import Settings
from vp_jax.inference.step_cache import reused_by
from vp_jax.inference.window import WindowProgram
from vp_jax.jobs import compile_cache
from vp_jax.jobs.progress import Progress
from vp_jax.media.canvas import composite
from vp_jax.models.latent_grid import cover_cells
from vp_jax.shapes import SPATIAL_STRIDE, latent_frames
from vp_jax.training.flops import video_tokens

DDIM = "all steps, DDIM"
PICTURED = 2
"""Clips of the picture."""


@dataclasses.dataclass(frozen=True)
class Way:
    """One row: what it is called, settings that differ, and the model's folder, where it is another one."""

    name: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: Path | None = None


def cached(steps: int, students: Mapping[int, Path]) -> list[Way]:
    """All steps first, then a step cache, and fewer steps with as many calls."""
    return [
        Way("all steps", {"steps": steps}),
        *(Way(f"step cache {factor}", {"steps": steps, "step_cache": factor}) for factor in ("1.5x", "2x", "3x")),
        *(Way(f"{few} steps", {"steps": few}) for few in (int(steps / 1.5), steps // 2)),
    ]


def intervals(steps: int, students: Mapping[int, Path]) -> list[Way]:
    """All steps first, then guidance in a part of them, alone and with a step cache."""
    parts = [(0.25, 1.0), (0.0, 0.75), (0.0, 0.5), (0.25, 0.75)]
    ways = [
        Way(f"guidance from {start:g} to {stop:g}", {"guidance_start": start, "guidance_stop": stop, "steps": steps})
        for start, stop in parts
    ]
    both = {**ways[1].settings, "step_cache": "1.5x"}
    return [Way("all steps", {"steps": steps}), *ways, Way(f"{ways[1].name}, step cache 1.5x", both)]


def distilled(steps: int, students: Mapping[int, Path]) -> list[Way]:
    """All steps first, then few steps of the same model, with and without guidance, and students."""
    ways = [Way("all steps", {"steps": steps}), Way(DDIM, {"steps": steps, "sampler": "ddim"})]
    for few in sorted({4, 8, *students}):
        ddim: dict[str, Any] = {"steps": few, "sampler": "ddim"}
        ways += [Way(f"{few} steps, DDIM", ddim), Way(f"{few} steps, DDIM, no guidance", {**ddim, "guidance": 1.0})]
        if few in students:
            ways.append(Way(f"{few} steps, distilled", {**ddim, "guidance": 1.0}, students[few]))
    return ways


def backgrounds(steps: int, students: Mapping[int, Path]) -> list[Way]:
    """All steps full first, then every k-th."""
    every = [Way(f"full every {k}", {"steps": steps, "background_every": k}) for k in (2, 3, 5)]
    return [Way("all steps", {"steps": steps}), *every]


PARTS = {"cache": cached, "guidance": intervals, "background": backgrounds, "distill": distilled}

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Parts of the picture that are masked, of the part ``background``."""


def passes(settings: Settings, reused: Sequence[int], part: float = 1.0) -> tuple[int, float]:
    """Steps that call the networks, and passes of one prompt, where a hole step computes ``part`` of the tokens."""
    called = [step for step in range(settings.steps) if step not in reused]
    sizes = [part if step % settings.background_every else 1.0 for step in called]
    return len(called), sum((2 if settings.guided_at(step) else 1) * size for step, size in zip(called, sizes))


def boxed(clip: cases.Case, share: float) -> cases.Case:
    """The clip with a box in the middle of every frame for its hole, ``share`` of the picture."""
    frames, height, width = clip.holes_FHW.shape
    rows, columns = (round(side * share**0.5) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    holes_FHW = np.zeros((frames, height, width), bool)
    holes_FHW[:, top : top + rows, left : left + columns] = True
    return dataclasses.replace(clip, source_FHWC=clip.truth_FHWC, holes_FHW=holes_FHW)


def computed(pipeline: Pipeline, settings: Settings, clips: Sequence[cases.Case]) -> float:
    """Part of the tokens, text among them, that a hole step computes."""
    program, cfg = WindowProgram(pipeline.models, settings, pipeline.schedule), pipeline.models.backbone_cfg
    room = program.near_room(cover_cells(clip.holes_FHW) for clip in clips)
    if room is None:
        return 1.0
    frames, height, width = clips[0].holes_FHW.shape
    tokens = video_tokens(cfg, latent_frames(frames), height // SPATIAL_STRIDE, width // SPATIAL_STRIDE)
    return (cfg.max_text_len + room) / (cfg.max_text_len + tokens)


def sampled(pipeline: Pipeline, settings: Settings, clips: Sequence[cases.Case], batch: int, seed: int) -> np.ndarray:
    """Results of all clips, pasted, uint8 (B, F, H, W, 3)."""
    sampler, made = BatchSampler(pipeline, settings), []
    text_BME = pipeline.encode_prompts([*(clip.prompt for clip in clips), ""])
    for begin in range(0, len(clips), batch):
        rows = [min(begin + row, len(clips) - 1) for row in range(batch)]
        part = [clips[row] for row in rows]
        frames, holes = np.stack([clip.source_FHWC for clip in part]), np.stack([clip.holes_FHW for clip in part])
        seeds = [zlib.crc32(f"{seed} {clip.name}".encode()) for clip in part]
        found = sampler(frames, holes, text_BME[rows], text_BME[-1], seeds)
        pasted = [composite(clip.source_FHWC, one, clip.holes_FHW) for clip, one in zip(part, found)]
        made += pasted[: len(clips) - begin]
    return np.stack(made)


def table(
    ways: Sequence[Way],
    clips: Sequence[cases.Case],
    args: argparse.Namespace,
    progress: Callable[[int, int, str], None],
) -> tuple[str, dict[str, np.ndarray]]:
    """Markdown, and the results of each row."""
    heads = ["calls", "passes", "PSNR (dB)", "minus all steps", "SSIM", "PSNR to all steps (dB)"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    results: dict[str, np.ndarray] = {}
    base: list[float] = []
    for number, way in enumerate(ways):
        progress(number, len(ways), way.name)
        adapter = args.part in ("cache", "guidance")  # hole steps and students have none, so no row of theirs has
        pipeline = Pipeline.load(way.model or args.model, precision="float32", id_adapter=adapter)
        settings = pipeline.settings.changed(**{"guidance": args.guidance, "dynamic_guidance": False, **way.settings})
        reused = reused_by(pipeline.drift, pipeline.schedule, settings)
        made = sampled(pipeline, settings, clips, args.batch, args.seed)
        results[way.name] = made
        psnr, ssim = (
            [score(clip.truth_FHWC, one, clip.holes_FHW) for clip, one in zip(clips, made)]
            for score in (video_metrics.psnr, video_metrics.ssim)
        )
        base, calls = base or psnr, passes(settings, reused, computed(pipeline, settings, clips))
        gap = interval([a - b for a, b in zip(psnr, base)])
        cells = [
            f"{calls[0]}",
            f"{calls[1]:.4g}",
            f"{np.mean(psnr):.2f}",
            f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]",
        ]
        cells += [f"{np.mean(ssim):.3f}", _nearness(results, made, clips)]
        lines.append(f"| {way.name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    progress(len(ways), len(ways), "done")
    return "\n".join(lines), {"source": np.stack([clip.source_FHWC for clip in clips]), **results}


def _nearness(results: Mapping[str, np.ndarray], made: np.ndarray, clips: Sequence[cases.Case]) -> str:
    """Mean PSNR to the result of all steps, of DDIM where there is one: the same noise leads to it."""
    full = results.get(DDIM, next(iter(results.values())))
    if made is full:
        return ""
    return f"{np.mean([video_metrics.psnr(a, b, clip.holes_FHW) for clip, a, b in zip(clips, full, made)]):.1f}"


def picture(results: Mapping[str, np.ndarray], clips: Sequence[cases.Case]) -> np.ndarray:
    """Rows of frames: truth and hole, then each result, of `PICTURED` clips."""
    rows = []
    for number, clip in enumerate(clips[:PICTURED]):
        hidden = np.where(cover_cells(clip.holes_FHW)[..., None], np.uint8(0), clip.source_FHWC)
        rows += [strip(clip.truth_FHWC), strip(hidden)]
        rows += [strip(made[number]) for name, made in results.items() if name != "source"]
    return np.concatenate([np.pad(row, ((0, 2), (0, 0), (0, 0)), constant_values=22) for row in rows])


def _student(text: str) -> tuple[int, Path]:
    steps, _, folder = text.partition("=")
    if not steps.isdigit() or not folder:
        raise UserError(f"--student {text}: expected STEPS=FOLDER, such as 4=runs/distill_4/export")
    return int(steps), Path(folder)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--clips", type=int, default=16, help="held-out clips")
    parser.add_argument(
        "--student", action="append", default=[], metavar="STEPS=FOLDER", help="exports of distillation"
    )
    parser.set_defaults(steps=20, out=Path("out/steps"))
    args = parser.parse_args(argv)
    compile_cache.keep(None)
    students = dict(map(_student, args.student))
    ways = PARTS[args.part](args.steps, students)
    clips = list(cases.inpainting(args.clips))
    groups = {f"{share:.0%} masked": [boxed(clip, share) for clip in clips] for share in SHARES}
    texts, results = list[str](), dict[str, np.ndarray]()
    for name, group in groups.items() if args.part == "background" else (("", clips),):
        print(name, flush=True)
        with Progress() as progress:
            text, results = table(ways, group, args, progress)
        texts.append(f"{name}\n\n{text}" if name else text)
        clips = group
    text = "\n\n".join(texts)
    folder = args.docs or args.out
    folder.mkdir(parents=True, exist_ok=True)
    text = f"`python -m bench.steps {args.part} --clips {args.clips} --steps {args.steps}` on {machine()}\n\n{text}\n"
    (folder / f"steps_{args.part}.md").write_text(text)
    Image.fromarray(picture(results, clips)).save(folder / f"steps_{args.part}.png")
    print(text)


if __name__ == "__main__":
    run_cli(main)
