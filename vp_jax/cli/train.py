"""Train VideoPainter's context encoder or ID adapter, or from scratch the VAE and the backbone they need.

    vp-jax train --config tpu_v4 --workdir RUN \\
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA [--config.optimizer.lr=2e-5 ...]
    vp-jax train --config tiny --workdir RUN               a minute on a CPU, needs no files
    vp-jax train --config ... --compile_only v4:4x4x4      does the step fit a pod that you do not have?
    vp-jax train --config ... --workdir RUN --dry_run      everything that a run does, once
    vp-jax train --config ... --workdir RUN --export       write the newest checkpoint's model and stop

CONVERTED is made by `vp-jax convert all`. Running the same command again continues where RUN ends; SIGTERM and Ctrl-C
save first. RUN holds checkpoints/, metrics.jsonl (curves: `vp-jax plots RUN`), pictures/ and videos/ of the validation,
data_report.json and data_report.png (what it learns from), data.jsonl (clips that could not be used), config.json,
starts.jsonl (commit and versions of every start), and at the end export/, a folder that
`vp-jax sample --checkpoint RUN/export` reads: it holds the trained parts and names those of CONVERTED.
docs/training.md explains all of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli import settings
from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError
from vp_jax.files import check_local
from vp_jax.reading import show


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    inputs = parser.add_argument_group("input")
    settings.add_arguments(parser, inputs)
    inputs.add_argument(
        "--verify", action="store_true", help="compare all of the checkpoint with its digests, not only what is read"
    )
    outputs = parser.add_argument_group("output")
    outputs.add_argument("--workdir", metavar="RUN", help="folder of the run; one that exists is continued")
    outputs.add_argument("--export", action="store_true", help="write the newest checkpoint's model and stop")
    outputs.add_argument(
        "--dry_run",
        action="store_true",
        help="open the data, do a step, validate it and save it, in a folder RUN.dry_run that is removed, and stop",
    )
    outputs.add_argument(
        "--profile", type=int, default=0, metavar="N", help="write a profiler's trace of N steps to RUN/profile"
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--compile_only",
        metavar="TARGET",
        help="compile the step for a TPU slice (v4:4x4x4, v6e:8x8; needs vp_jax[aot]), for GPUs (h100:8, a100:1; needs "
        "vp_jax[aot-gpu]) or for 'local' devices, report what it takes and stop; as vp-jax compile",
    )


def run(args: argparse.Namespace) -> int:
    """Train, or say what a step takes; returns the exit status."""
    config = settings.read(args)
    if config is not None and args.compile_only is not None:
        from vp_jax.planning import aot

        return aot.compile_only(config, args.compile_only)
    if config is None or not args.workdir:
        raise UserError("give --config FILE and --workdir RUN, such as --config tiny --workdir runs/tiny")
    if args.profile < 0:
        raise UserError(f"--profile {args.profile}: expected a number of steps, 1 or more")
    if args.dry_run and (args.export or args.profile):
        raise UserError("--dry_run stops after one step: leave --export and --profile out")
    check_local(Path(args.workdir))
    if args.verify:
        _verify(config.model.checkpoint)
    if args.dry_run:
        from vp_jax.runs.dry_run import try_run

        return try_run(config, Path(args.workdir))
    from vp_jax.runs.train import train

    return train(config, Path(args.workdir), export_only=args.export, profile=args.profile)


def _verify(folder: str) -> None:
    if not folder:
        raise UserError("--verify: this run starts from random weights, there is no checkpoint to compare")
    from vp_jax.models.folder import CheckpointFolder

    print(f"verify   {show(folder)}: {', '.join(CheckpointFolder(Path(folder)).verify())} are what was written")
