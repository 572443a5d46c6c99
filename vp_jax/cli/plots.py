"""Draw the curves of training runs: loss, held-out loss and PSNR, norms, learning rate, speed, loss by timestep.

    vp-jax plots RUN [--out curves.png]
    vp-jax plots RUN1 RUN2 ... --out comparison.png

RUN is the workdir of a run. Needs matplotlib: pip install 'vp_jax[train]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.add_argument_group("input").add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="workdir of a run; of several, the same curves in one picture"
    )
    parser.add_argument_group("output").add_argument(
        "-o", "--out", type=Path, metavar="PICTURE", help="default of one run: RUN/curves.png"
    )


def run(args: argparse.Namespace) -> None:
    """Draw and print the picture's name."""
    if len(args.runs) > 1 and args.out is None:
        raise UserError("several runs: say where the picture goes, --out PICTURE")
    from vp_jax.runs import plots

    if len(args.runs) == 1:
        print(plots.draw_curves(args.runs[0], args.out or args.runs[0] / "curves.png"))
    else:
        print(plots.draw_comparison(args.runs, args.out))
