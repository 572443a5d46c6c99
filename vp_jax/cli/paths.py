"""``~`` in arguments that are paths: no shell expands it in ``--out=~/out.mp4``.

Arguments of the type `Path` are paths. Others that may be are named here; `tests/cli/test_paths.py` asks of every flag
of every command, and of every setting, what it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.reading import show

TEXTS = ("workdir", "config", "first_frame", "mask", "compilation_cache", "lora", "data", "out", "csv")
"""Arguments that are paths, or may be, and are kept as text."""
PAIRS = ("csv",)
"""Arguments ``NAME=PATH``."""
PATH_SETTINGS = (
    *("compilation_cache", "data.clips", "data.csv", "data.path", "model.checkpoint", "model.init_from"),
    *("model.tokenizer", "validation.csv", "validation.path"),
)
"""Settings that are paths."""


def at_home(args: argparse.Namespace) -> argparse.Namespace:
    """Arguments with ``~`` at the start of their paths made complete.

    Raises:
      UserError: there is no home folder.
    """
    for name, value in vars(args).items():
        setattr(args, name, _expanded(name, value))
    return args


def expanded(path: str, name: str) -> str:
    """``path`` with ``~`` or ``~user`` at its start made complete; a user who does not exist is part of a name.

    Args:
      path: any text; without ``~`` at its start it is returned as it is.
      name: of the argument or setting, for the message.

    Raises:
      UserError: there is no home folder.
    """
    if not path.startswith("~") or "\0" in path:
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        if Path(path).parts[0] != "~":
            return path
        raise UserError(f"--{name} {show(path)}: there is no home folder, give the complete path") from error


def _expanded(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_expanded(name, item) for item in value]
    if isinstance(value, Path):
        return Path(expanded(str(value), name))
    if not isinstance(value, str) or name not in TEXTS:
        return value
    before, sign, path = value.partition("=")
    if name in PAIRS and sign and not before.startswith("~"):
        return f"{before}={expanded(path, name)}"
    return expanded(value, name)
