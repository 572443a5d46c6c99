"""Compile the training step for devices you do not have, and say whether it fits and what it costs.

    vp-jax compile v4:4x4x4 --config tpu_v4
    vp-jax compile local --config tiny --config.loader.batch_size=4

TPU targets need the TPU compiler and no TPU: pip install 'vp_jax[aot]'. The exit status is 0 if the step fits.
"""

from __future__ import annotations

import argparse

from vp_jax.cli import settings
from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "target", metavar="TARGET", help="a TPU slice (v4:4x4x4, v5p:2x2x4, v6e:8x8) or local: this machine's devices"
    )
    settings.add_arguments(parser, parser.add_argument_group("input"))


def run(args: argparse.Namespace) -> int:
    """Compile; returns 0 if the step fits and 1 if not."""
    config = settings.read(args)
    if config is None:
        raise UserError("give --config FILE, such as --config tpu_v4")
    from vp_jax.planning import aot

    return aot.compile_only(config, args.target)
