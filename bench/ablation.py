"""The paper's ablations on held-out clips of the drawn world.

    python -m bench.ablation                              everything that has weights
    python -m bench.ablation --clips 8 --long_clips 0     a quick look
    python -m bench.ablation --docs docs/nano             also write docs/nano/ablation.md and its pictures

Results are written to OUT/results.jsonl clip by clip: the same command continues after an interruption, and repeats
only what has changed (another seed, other weights). Rows that need their own weights look for them in RUNS; if they are
missing, the row names the command that trains them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from bench.nano import cases, paper, runner, tables
from bench.nano.results import METRICS
from bench.nano.runner import Job, Setup
from bench.nano.variants import LONG, SHORT, Variant
from bench.timing import machine
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.inference.named import NAMED
from vp_jax.jobs import compile_cache, packaged
from vp_jax.jobs.progress import Progress

SHORT_METRICS = ("hole_psnr", "inner_psnr", "edge_psnr", "hole_ssim", "background_psnr", "temporal_error")
LONG_METRICS = ("hole_psnr", "hole_ssim", "temporal_error", "identity_drift")


def setup_of(args: argparse.Namespace) -> Setup:
    """Settings from the command line, checked."""
    if not (args.model / "transformer").is_dir():
        raise UserError(f"--model {args.model}: expected a folder of converted weights")
    for name in ("clips", "batch", "steps"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} {getattr(args, name)}: expected 1 or more")
    return Setup(args.model, args.runs, args.out, args.steps, args.guidance, args.batch, args.seed)


def arguments(description: str) -> argparse.ArgumentParser:
    """Parser with the flags that bench.ablation and bench.editing share."""
    parser = Parser(description=description)
    flag = parser.add_argument
    flag("--model", type=Path, default=NAMED["nano"].folder, help="folder of weights; default: the packaged nano model")
    flag("--runs", type=Path, default=Path("runs/nano"), help="folder of the variants' training runs")
    flag("--out", type=Path, default=Path("out/ablation"), help="folder of results")
    flag("--docs", type=Path, help="folder for the page and its pictures; default: OUT")
    flag("--steps", type=int, default=Setup.steps)
    flag("--guidance", type=float, default=Setup.guidance)
    flag("--batch", type=int, default=8, help="clips sampled together")
    flag("--seed", type=int, default=0)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--clips", type=int, default=256, help="clips of one window")
    parser.add_argument("--long_clips", type=int, default=16, help="clips of five windows")
    parser.add_argument("--only", default="", help="names of variants, comma-separated; default: all")
    args = parser.parse_args(argv)
    setup = setup_of(args)
    wanted = set(args.only.split(",")) if args.only else {v.name for v in (*SHORT, *LONG)}
    unknown = sorted(wanted - {v.name for v in (*SHORT, *LONG)})
    if unknown:
        raise UserError(f"--only {', '.join(unknown)}: expected some of {', '.join(v.name for v in (*SHORT, *LONG))}")
    compile_cache.keep(None)
    begin = time.perf_counter()

    def planned(variants: Sequence[Variant], split: str, clips: Sequence[cases.Case]) -> list[Job]:
        return [runner.job(setup, v, split, clips) for v in variants if v.name in wanted] if clips else []

    short = planned(SHORT, "short", list(cases.inpainting(args.clips)))
    long = planned(LONG, "long", list(cases.inpainting(args.long_clips, cases.LONG)))
    for job in (*short, *long):
        if job.absent:
            print(
                f"absent   {job.variant.label}: "
                + (job.variant.command(args.model, args.runs) if job.variant.run else "the model has no such part")
            )
    with Progress() as progress:
        runner.run(setup, [*short, *long], progress)
    folder = args.docs or args.out
    folder.mkdir(parents=True, exist_ok=True)
    text = page(setup, short, long, folder)
    (folder / "ablation.md").write_text(text)
    print(text)
    print(f"done     {folder / 'ablation.md'} in {time.perf_counter() - begin:.0f} s")


def page(setup: Setup, short: Sequence[Job], long: Sequence[Job], folder: Path) -> str:
    """Text of the page; its pictures are written to ``folder``."""
    parts = [
        f"# Ablations\n\nHeld-out clips of the drawn world, {cases.HEIGHT} x {cases.WIDTH} pixels; frame 0 is "
        f"given unless noted and is never counted; holes are grown by {packaged.GROW} pixels. "
        f"{setup.steps} steps, guidance {setup.guidance:g}, seed {setup.seed}. In brackets: 95 % bootstrap "
        f"intervals over clips. The paper's columns are VPBench, real video at 480 x 720: compare orders, not "
        f"values.\n\n`python -m bench.ablation` on {machine()}\n"
    ]
    groups = []
    for title, jobs, metrics, bases, (metric, base, unit) in (
        ("One window", short, SHORT_METRICS, ("branch_2", "default"), ("hole_psnr", "default", "dB")),
        ("Five windows", long, LONG_METRICS, ("no_id",), ("identity_drift", "no_id", "grey levels")),
    ):
        if not jobs:
            continue
        found = runner.summaries(setup, jobs)
        variants = [job.variant for job in jobs]
        parts.append(f"## {title}\n\n{tables.table(jobs, found, metrics, setup)}\n")
        lines = paper.agreement(variants, runner.values(setup, jobs, "hole_psnr"), bases)
        parts += ["\n".join(f"- {line}" for line in lines) + "\n"] if lines else []
        lines = paper.differences(variants, runner.values(setup, jobs, metric), base, unit)
        if lines:
            parts.append(f"Clip by clip, {METRICS[metric]}:\n\n" + "\n".join(f"- {line}" for line in lines) + "\n")
        if found:
            groups += [
                (f"{title}, {len(jobs[0].cases)} clips", metric, variants, found)
                for metric in (metrics[0], *metrics[3:][: title == "Five windows"])
            ]
        rows = [(title, job.split, case) for job in jobs[:1] for case in job.cases[:2]]
        name = f"ablation_{jobs[0].split}.png"
        if tables.sheet(folder / name, setup.out, rows, variants):
            parts.append(f"![results]({name})\n")
    if groups:
        tables.figure(folder / "ablation.png", groups)
        parts.insert(1, "![bars](ablation.png)\n")
    return "\n".join(parts)


if __name__ == "__main__":
    run_cli(main)
