"""Compile programs for devices you do not have, and report whether they fit and what they cost.

    vp-jax compile v4:4x4x4 --config tpu_v4              the training step of a run
    vp-jax compile h100:1 --sample                       sampling with the 5B model: T5, VAE, one denoising step
    vp-jax compile h100:8 --sample --program step        the step alone, on eight GPUs
    vp-jax compile --table                               every program, type and platform: can it be lowered at all?

The compiler for TPUs comes with pip install 'vp_jax[aot]', the one for NVIDIA GPUs with 'vp_jax[aot-gpu]'; neither
needs a device or a driver. The exit status is 0 if everything fits.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable

from vp_jax.cli import settings
from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="a TPU slice (v4:4x4x4, v5p:2x2x4, v6e:8x8), GPUs of one machine (h100:8, h200:1, a100:1, a100-40gb:8, "
        "rtx4090:1) or local: this machine's devices",
    )
    machine.add_argument(
        "--mesh", metavar="AXIS=SIZE,...", default="", help="of sampling; training takes --config.mesh"
    )
    settings.add_arguments(parser, parser.add_argument_group("input"))
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("--sample", action="store_true", help="the programs of sampling, no training")
    sampling.add_argument("--program", metavar="NAME", action="append", help="this program alone; may be repeated")
    sampling.add_argument("--model", help="published model, by name; default: cogvideox-5b-i2v, of the table nano")
    sampling.add_argument("--precision", choices=("bfloat16", "float32"), help="default: bfloat16, of the table both")
    sampling.add_argument("--weights", choices=("int8",), help="int8: matrices of blocks; default: --precision")
    sampling.add_argument("--table", action="store_true", help="lower every program for CPU, CUDA and TPU; no TARGET")


def run(args: argparse.Namespace) -> int:
    """Compile; returns 0 if everything fits and 1 if not."""
    config = settings.read(args)
    if args.table:
        return _table(args)
    if config is not None and args.sample:
        raise UserError("--config with --sample: sampling has no settings file, leave one of them out")
    if args.target is None:
        raise UserError("no TARGET: expected devices such as h100:1 or v6e:2x4, or --table")
    if args.sample:
        return _sample(args)
    if config is None:
        raise UserError("give --config FILE for training, such as --config tpu_v4, or --sample")
    if unused := [name for name in ("mesh", "program", "model", "precision", "weights") if getattr(args, name)]:
        raise UserError(f"--{unused[0]} without --sample: a training run takes its settings from --config")
    from vp_jax.planning import aot

    return aot.compile_only(config, args.target)


def _sample(args: argparse.Namespace) -> int:
    from vp_jax.planning import compile_sampling
    from vp_jax.planning.programs import SAMPLE

    return compile_sampling.compile_sampling(
        args.target,
        _known("program", args.program or compile_sampling.DEFAULT, SAMPLE),
        mesh=args.mesh,
        model=args.model or "cogvideox-5b-i2v",
        precision=args.precision or "bfloat16",
        weights=args.weights or "",
    )


def _table(args: argparse.Namespace) -> int:
    from vp_jax.inference.load import PRECISIONS
    from vp_jax.planning import lowering
    from vp_jax.planning.programs import PROGRAMS

    return lowering.print_table(
        args.model or "nano",
        _known("program", args.program or PROGRAMS, PROGRAMS),
        (args.precision,) if args.precision else PRECISIONS,
    )


def _known(flag: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """``names``, which are all ``known``."""
    for name in names:
        if name not in (options := list(known)):
            near = difflib.get_close_matches(name, options, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(options)}"
            raise UserError(f"--{flag} {name}: no such program: {hint}")
    return list(names)
