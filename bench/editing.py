"""Edits with a known result: change, shape, add, remove and swap on held-out scenes of the drawn world.

    python -m bench.editing [--clips 48] [--runs RUNS] [--docs docs/nano]

The hole covers the thing before and after the edit, the prompt describes the edited scene, and frame 0 is that of the
edited scene (the paper edits the first frame with an image model). The same command continues after an interruption.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.ablation import arguments, setup_of
from bench.nano import cases, paper, runner, tables
from bench.nano.variants import ALL_TOKENS, BACKBONE, BRANCH_2, DEFAULT, EDITING
from bench.timing import machine
from vp_jax.cli.program import run_cli
from vp_jax.jobs import compile_cache, packaged
from vp_jax.jobs.progress import Progress
from vp_jax.world.synthetic import OPERATIONS

METRICS = ("edit_shown", "hole_psnr", "hole_ssim", "background_psnr", "temporal_error")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--clips", type=int, default=48, help="scenes per operation")
    args = parser.parse_args(argv)
    setup = setup_of(args)
    compile_cache.keep(None)
    begin = time.perf_counter()
    jobs = {
        operation: [runner.job(setup, variant, operation, clips) for variant in EDITING]
        for operation in OPERATIONS
        for clips in [list(cases.edits(operation, args.clips))]
    }
    with Progress() as progress:
        runner.run(setup, [job for group in jobs.values() for job in group], progress)
    folder = args.docs or args.out
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        f"# Edits\n\n{args.clips} held-out scenes per operation, against the edited scene as drawn; frame 0 is "
        f"given and not counted; holes are grown by {packaged.GROW} pixels; {setup.steps} steps, guidance "
        f"{setup.guidance:g}.\n\n`python -m bench.editing` on {machine()}\n"
    ]
    for operation, group in jobs.items():
        parts.append(f"## {operation}\n\n{tables.table(group, runner.summaries(setup, group), METRICS, setup)}\n")
        values = runner.values(setup, group, "hole_psnr")
        lines = [
            *paper.differences((BACKBONE, DEFAULT), values, "default", "dB"),
            *paper.differences((ALL_TOKENS, BRANCH_2), values, "branch_2", "dB"),
        ]
        if lines:
            parts.append("PSNR in the hole, clip by clip:\n\n" + "\n".join(f"- {line}" for line in lines) + "\n")
    rows = [(operation, operation, group[0].cases[0]) for operation, group in jobs.items()]
    if tables.sheet(folder / "editing.png", setup.out, rows, EDITING[1:], truth="edited scene"):
        parts.append("![edits](editing.png)\n")
    (folder / "editing.md").write_text("\n".join(parts))
    print("\n".join(parts))
    print(f"done     {folder / 'editing.md'} in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    run_cli(main)
