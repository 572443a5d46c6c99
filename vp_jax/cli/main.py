"""The command ``vp-jax``: one name, one module of this room, imported when it is called."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from vp_jax import __version__
from vp_jax.cli.parser import Parser
from vp_jax.cli.paths import at_home
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError


class Command(NamedTuple):
    """One command: a line for ``--help``, and whether SIGTERM interrupts it like Ctrl-C."""

    summary: str
    sigterm: bool = False


COMMANDS = {
    "sample": Command("fill the masked region of a video", sigterm=True),
    "train": Command("train the context encoder, the ID adapter, or a small model from scratch"),
    "mask": Command("the mask of a video: a box, points or words, tracked through it"),
    "edit": Command("edit a video by an instruction: make the dog a fox", sigterm=True),
    "serve": Command("a page in the browser and an HTTP API: mark a thing, fill or remove it"),
    "convert": Command("published PyTorch weights to a folder that sample and train read, and back"),
    "bench": Command("benchmarks: run methods, score results of any method, tables, a page", sigterm=True),
    "study": Command("a blind preference study: its page, a server, its report"),
    "compile": Command("compile a training step for devices you do not have: does it fit?"),
    "calibrate": Command("measure a model once, so that sampling may reuse its estimates"),
    "curate": Command("raw videos to VPData: masks, captions, records, and a page"),
    "shards": Command("VPData as ArrayRecord shards"),
    "latents": Command("a data set as latent shards: run VAE and T5 once, train many times"),
    "plots": Command("draw the curves of a training run"),
    "package": Command("one small checkpoint folder from several runs"),
    "sheet": Command("contact sheets of training data"),
    "vocabulary": Command("a sentencepiece vocabulary of the drawn world's captions"),
}
"""``vp-jax NAME`` is the module ``vp_jax.cli.NAME``, with ``add_arguments(parser)`` and ``run(args)``."""


def parser_of(name: str, prog: str | None = None) -> Parser:
    """The parser of one command; ``prog`` is what the user typed, where that was another door."""
    module = importlib.import_module(f"vp_jax.cli.{name}")
    parser = Parser(prog=prog or f"vp-jax {name}", description=module.__doc__)
    module.add_arguments(parser)
    return parser


def run(argv: Sequence[str], prog: str | None = None) -> int:
    """Run one command.

    Args:
      argv: its name and its arguments.
      prog: what the user typed before the arguments; default: ``vp-jax NAME``.

    Returns:
      Exit status.

    Raises:
      UserError: an unknown command or bad input.
    """
    name, *arguments = argv or ["--help"]
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name in ("-V", "--version"):
        print(f"vp_jax {__version__}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        raise UserError(f"unknown command {name!r}: {f'did you mean {near[0]}?' if near else f'one of {_names()}'}")
    args = at_home(parser_of(name, prog).parse_args(arguments))
    return int(importlib.import_module(f"vp_jax.cli.{name}").run(args) or 0)


def main(*first: str, prog: str | None = None) -> None:
    """The program ``vp-jax``, or with ``first`` the door of one command; exits with its status.

    Args:
      first: arguments that stand before those of the process.
      prog: see `run`.
    """
    argv = [*first, *sys.argv[1:]]
    command = COMMANDS.get(argv[0]) if argv else None
    run_cli(lambda: run(argv, prog), sigterm=command is not None and command.sigterm)


def overview() -> str:
    """The text of ``vp-jax --help``."""
    lines = [f"  {name:<12}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "VideoPainter in JAX: text-guided video inpainting of any length.",
            "",
            "usage: vp-jax COMMAND [ARGUMENTS]     vp-jax COMMAND --help     vp-jax --version",
            "",
            *lines,
            "",
            "vp-jax sample                                     the packaged model on its own clip",
            "vp-jax train --config tiny --workdir runs/tiny    a minute on a CPU, needs no files",
        ]
    )


def _names() -> str:
    return ", ".join(COMMANDS)
