"""Draw the curves of a training run: loss, norms, learning rate, speed, loss by timestep.

    vp-jax plots RUN [--out curves.png]

RUN is the workdir of a run. Needs matplotlib: pip install 'vp_jax[train]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli.parser import Parser


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.add_argument_group("input").add_argument("run", type=Path, metavar="RUN", help="workdir of a run")
    parser.add_argument_group("output").add_argument(
        "-o", "--out", type=Path, metavar="PICTURE", help="default: RUN/curves.png"
    )


def run(args: argparse.Namespace) -> None:
    """Draw and print the picture's name."""
    from vp_jax.runs import plots

    print(plots.draw_curves(args.run, args.out or args.run / "curves.png"))
