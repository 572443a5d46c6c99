"""Command line of the converter.

    python -m convert all CKPT_DIR OUT_DIR        everything below CKPT_DIR that VideoPainter needs
    python -m convert one KIND SRC DST            one part
    python -m convert export KIND OUR_DIR DST     back to safetensors in the original layout

KIND: transformer, branch, vae, text_encoder, id_adapter, lora, scheduler.
`all` keeps the parts that an earlier run finished and redoes one that was interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import ml_dtypes
import numpy as np

from vp_jax import checkpoint
from vp_jax.convert import layout, parts
from vp_jax.convert.kinds import ADAPTERS, KINDS
from vp_jax.errors import UserError

_TYPES: dict[str, Any] = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16, "float32": np.float32, "stored": None}
_ROW = "{:<13}{:>8}{:>16}{:>10}{:>9}{:>9}  {}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see python -m convert --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m convert", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    every = commands.add_parser("all", help="convert a whole checkpoint")
    every.add_argument("source", type=Path, metavar="CKPT_DIR")
    every.add_argument("folder", type=Path, metavar="OUT_DIR")
    every.add_argument("--base", help="which CogVideoX folder, where there are several")
    every.add_argument("--force", action="store_true", help="redo finished parts too")
    one = commands.add_parser("one", help="convert one part")
    one.add_argument("kind", choices=KINDS, metavar="KIND", help=" ".join(KINDS))
    one.add_argument("source", type=Path, metavar="SRC", help="folder, or weights file with config.json beside it")
    one.add_argument("folder", type=Path, metavar="DST")
    one.add_argument("--scale", type=float, help="of an adapter; default: as the file says, else 1")
    one.add_argument("--num_layers", type=int, help="of the backbone under an adapter; default: as many as in the file")
    for command in (every, one):
        command.add_argument("--dtype", choices=_TYPES, help="of the weights; default bfloat16, adapters as stored")
    back = commands.add_parser("export", help="write a part in the original layout")
    back.add_argument("kind", choices=KINDS, metavar="KIND", help=" ".join(KINDS))
    back.add_argument("source", type=Path, metavar="OUR_DIR")
    back.add_argument("folder", type=Path, metavar="DST")
    return parser


def _print(report: parts.Report) -> None:
    note = report.note
    if report.ignored:
        note = f"{note}{'; ' if note else ''}{len(report.ignored)} not used: {', '.join(report.ignored[:3])}" + (
            ", ..." if len(report.ignored) > 3 else ""
        )
    print(
        _ROW.format(
            report.kind,
            report.tensors,
            f"{report.parameters:,}",
            f"{report.bytes / 1e9:.3f}",
            f"{report.seconds:.1f}",
            len(report.ignored),
            note,
        ).rstrip(),
        flush=True,
    )


def _dtype(kind: str, name: str | None) -> Any:
    return _TYPES[name or ("stored" if kind in ADAPTERS else "bfloat16")]


def _convert_all(args: argparse.Namespace) -> None:
    found = layout.find_parts(args.source, args.base)
    backbone = layout.check(found)
    for part, source in found.items():
        folder = args.folder / part
        if source is None:
            _print(parts.Report(part, note="absent"))
        elif parts.is_complete(folder) and not args.force:
            _check_kept(part, folder, args.dtype)
            _print(parts.Report(part, note="kept from an earlier run (--force redoes it)"))
        elif part == "tokenizer":
            _print(parts.copy_tokenizer(source, folder))
        else:
            _print(parts.convert(part, source, folder, _dtype(part, args.dtype), num_layers=backbone.num_layers))


def _check_kept(part: str, folder: Path, name: str | None) -> None:
    if part == "tokenizer" or name in (None, "stored"):
        return
    values = checkpoint.load_config(folder)
    kept = values.get("dit", values).get("param_dtype", name)
    if kept != name:
        raise UserError(f"{folder} is already converted in {kept}, --dtype is {name}: add --force to convert it again")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Raises:
      UserError: bad arguments or files.
    """
    args = _parser().parse_args(argv)
    print(_ROW.format("kind", "tensors", "parameters", "GB", "seconds", "ignored", "").rstrip(), flush=True)
    if args.command == "all":
        _convert_all(args)
    elif args.command == "one":
        _print(
            parts.convert(
                args.kind,
                args.source,
                args.folder,
                _dtype(args.kind, args.dtype),
                num_layers=args.num_layers,
                scale=args.scale,
            )
        )
    else:
        _print(parts.export(args.kind, args.source, args.folder))
    return 0
