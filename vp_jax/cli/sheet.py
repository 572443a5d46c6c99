"""Contact sheets of training data, to look at what a model learns from.

    vp-jax sheet data --data DATA --csv FILE --out sheet.png       VPData with every kind of mask augmentation
    vp-jax sheet world world.png --scenes 0 1 2 3 --edits 2        scenes of the drawn world, and their edits
    vp-jax sheet world world.png --look lit                        the same in the look with light

A scene is a row of five frames and the labels of the third. Edits are a row of the scene as it was and one of the exact
result of each, with its hole in the third frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli.parser import Parser


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="data | world")
    data = kinds.add_parser("data", help="clips of VPData under every kind of mask augmentation")
    data.add_argument("--data", required=True, help="folder in VPData's own layout")
    data.add_argument("--csv", required=True, help="its rows")
    data.add_argument("--out", type=Path, default=Path("sheet.png"), help="the picture; default: sheet.png")
    data.add_argument("--seed", type=int, default=0)
    world = kinds.add_parser("world", help="scenes of the drawn world")
    world.add_argument("out", type=Path, metavar="PICTURE")
    world.add_argument("--scenes", type=int, nargs="*", default=range(6), metavar="SEED", help="scenes to show")
    world.add_argument("--edits", type=int, nargs="*", default=[2], metavar="SEED", help="scenes to edit in every way")
    world.add_argument("--look", default="lit", help="lit (default), as the packaged model knows it, or flat")
    world.add_argument("--height", type=int, default=96, help="of a picture, in pixels; 64 is what the model sees")


def run(args: argparse.Namespace) -> None:
    """Draw and print the picture's name."""
    if args.kind == "world":
        from vp_jax.world import sheet

        sheet.save_sheet(args.out, args.scenes, args.edits, args.height, args.look)
    else:
        from vp_jax.data import contact_sheet

        contact_sheet.draw(args.out, args.data, args.csv, args.seed)
    print(args.out)
