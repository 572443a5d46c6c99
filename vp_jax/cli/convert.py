"""Published PyTorch weights to a folder that sample and train read, and back.

    vp-jax convert all CKPT_DIR OUT_DIR        everything below CKPT_DIR that VideoPainter needs
    vp-jax convert one KIND SRC DST            one part
    vp-jax convert export KIND OUR_DIR DST     back to safetensors in the original layout

KIND: transformer, branch, vae, text_encoder, id_adapter, lora, scheduler; `one` also converts networks of scores:
lpips_squeeze, lpips_alex, lpips_vgg, clip, i3d, raft, dinov2, videomae.
`all` keeps the parts that an earlier run finished and redoes one that was interrupted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli.parser import Parser

PART_KINDS = ("transformer", "fun_inp", "void", "branch", "vae", "text_encoder", "id_adapter", "lora", "scheduler")
METRIC_NETWORKS = ("lpips_squeeze", "lpips_alex", "lpips_vgg", "clip", "i3d", "raft", "dinov2", "videomae")
WEIGHT_TYPES = ("bfloat16", "float16", "float32", "stored")


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="all | one | export")
    every = commands.add_parser("all", help="convert a whole checkpoint")
    every.add_argument("source", type=Path, metavar="CKPT_DIR")
    every.add_argument("folder", type=Path, metavar="OUT_DIR")
    every.add_argument("--base", help="which CogVideoX folder, where there are several")
    every.add_argument("--force", action="store_true", help="redo finished parts too")
    one = commands.add_parser("one", help="convert one part")
    one_kinds = (*PART_KINDS, *METRIC_NETWORKS)
    one.add_argument("kind", choices=one_kinds, metavar="KIND", help=" ".join(one_kinds))
    one.add_argument("source", type=Path, metavar="SRC", help="folder, or weights file with config.json beside it")
    one.add_argument("folder", type=Path, metavar="DST")
    one.add_argument("--scale", type=float, help="of an adapter; default: as the file says, else 1")
    one.add_argument("--num_layers", type=int, help="of the backbone under an adapter; default: as many as in the file")
    for command in (every, one):
        command.add_argument(
            "--dtype", choices=WEIGHT_TYPES, help="of the weights; default bfloat16; adapters and scores as stored"
        )
    back = commands.add_parser("export", help="write a part in the original layout")
    back.add_argument("kind", choices=PART_KINDS, metavar="KIND", help=" ".join(PART_KINDS))
    back.add_argument("source", type=Path, metavar="OUR_DIR")
    back.add_argument("folder", type=Path, metavar="DST")


def run(args: argparse.Namespace) -> None:
    """Convert on the CPU: weights only pass through, accelerators are left alone."""
    import jax

    from vp_jax.convert import main

    jax.config.update("jax_platforms", "cpu")
    main.header()
    if args.command == "all":
        main.convert_all(args.source, args.folder, base=args.base, dtype=args.dtype, force=args.force)
    elif args.command == "one":
        main.convert_one(
            args.kind, args.source, args.folder, dtype=args.dtype, scale=args.scale, num_layers=args.num_layers
        )
    else:
        main.export_part(args.kind, args.source, args.folder)
