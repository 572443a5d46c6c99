"""One checkpoint folder from several runs, small enough to be shipped: what vp_jax/nano is made with.

    vp-jax package --out vp_jax/nano RUN_VAE RUN_BACKBONE RUN_BRANCH RUN_ID
    vp-jax package --out vp_jax/nano --keep vae,backbone RUN_BRANCH     on top of what is there
    vp-jax package --out vp_jax/nano                                    what it was made of, as a table

Every RUN is a finished workdir of a training run. What a later run exports takes the place of an earlier run's. Weights
are stored in bfloat16; provenance.json says of each run its settings, commits, steps and last metrics. --keep names the
runs written down there before that these ones continue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli.parser import Parser


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    inputs = parser.add_argument_group("input")
    inputs.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="finished workdirs, in the order of training")
    inputs.add_argument("--keep", default="", metavar="NAMES", help="earlier runs that these continue, with commas")
    parser.add_argument_group("output").add_argument("--out", type=Path, required=True, help="the checkpoint folder")


def run(args: argparse.Namespace) -> None:
    """Write the folder if there are runs, and print the table of those behind it."""
    from vp_jax.runs import package

    if args.runs:
        size = package.package(args.runs, args.out, [*filter(None, args.keep.split(","))])
        print(f"{size / 1e6:.1f} MB in {args.out}: {', '.join(sorted(path.name for path in args.out.iterdir()))}")
    print(package.table(args.out))
