"""Settings of a run: a file with ``get_config()``, and ``--config.NAME=VALUE`` on top of it.

The file is named by its path or, where it comes with the package, by its name: ``configs/tiny.py``, ``tiny``,
``id_adapter:tpu_v4``. What follows the colon is the argument of ``get_config``. Values have the types of the file's
own, by the rules of ml_collections.
"""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
import runpy
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vp_jax.cli.paths import PATH_SETTINGS, expanded
from vp_jax.cli.program import EXTRAS, REQUIRED, package_of
from vp_jax.errors import UserError
from vp_jax.reading import show

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from vp_jax.cli.parser import Parser

FOLDER = Path(__file__).parent.parent / "configs"
OTHERS = ("curate",)
"""Packaged files that are not of training; the command of this name takes them."""
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", tuple: "values with commas"}
_EXPECTED = "expected a Python file with get_config(), such as configs/tiny.py"


def add_arguments(parser: Parser, group: argparse._ArgumentGroup) -> None:
    """``--config`` and the settings on top of it, shown in ``group``."""
    parser.settings = True
    group.add_argument("--config", metavar="FILE[:ARG]", help=f"settings: a file, or one of {', '.join(names())}")
    # for --help: the parser takes settings out before argparse sees them
    group.add_argument("--config.NAME", metavar="VALUE", help="change one setting, named as in configs/common.py")


def read(args: argparse.Namespace) -> ConfigDict | None:
    """The settings that parsed arguments ask for, locked, ``~`` in paths made complete; ``None`` without ``--config``.

    Raises:
      UserError: a file that cannot be used, an unknown setting or a wrong value.
    """
    if args.config is None:
        if args.settings:
            raise UserError(f"{args.settings[0]} without --config: give the file whose setting it changes")
        return None
    config = config_from_file(args.config)
    for setting in args.settings:
        change(config, setting)
    flat = _flat(config)
    paths = {name: flat[name] for name in PATH_SETTINGS if isinstance(flat.get(name), str)}
    config.update_from_flattened_dict({name: expanded(path, f"config.{name}") for name, path in paths.items()})
    return config


def names() -> list[str]:
    """The packaged files that can be named without a path."""
    return sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in ("__init__", "common", *OTHERS))


def config_from_file(name: str) -> ConfigDict:
    """The settings of ``FILE``, ``FILE:ARGUMENT``, ``NAME`` or ``NAME:ARGUMENT``, locked.

    Raises:
      UserError: no such file, or one that cannot be used.
    """
    file, *argument = name.split(":", 1)
    get_config = _get_config(_find(file), file)
    wanted = [
        parameter
        for parameter in inspect.signature(get_config).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if argument and not wanted:
        raise UserError(f"--config {name}: this file takes no name after a colon")
    if not argument and wanted and wanted[0].default is wanted[0].empty:
        raise UserError(f"--config {name}: give a name after a colon, such as configs/id_adapter.py:tpu_v4")
    try:
        config: ConfigDict = get_config(*argument)
    except Exception as error:
        raise UserError(f"--config {name}: {_reason(error)}") from error
    try:
        return config.lock()
    except AttributeError as error:
        raise UserError(f"--config {name}: get_config() gave {type(config).__name__}, not a ConfigDict") from error


def change(config: ConfigDict, setting: str) -> None:
    """Apply one ``--config.NAME=VALUE``.

    Raises:
      UserError: no such setting, or a value of another type.
    """
    from absl import flags
    from ml_collections import config_flags

    values: Any = flags.FlagValues()
    argv = ["vp-jax", setting]
    name, _, value = setting.partition("config.")[2].partition("=")
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        values(argv)
    except (AttributeError, KeyError, IndexError) as error:
        near = difflib.get_close_matches(name, _flat(config), 1)
        advice = f"did you mean {near[0]}?" if near else "configs/common.py lists all"
        raise UserError(f"no setting {show(name)!r}: {advice}") from error
    except (flags.Error, TypeError, ValueError) as error:
        kind = type(_flat(config).get(name))
        expected = f"expected {_KINDS[kind]}" if kind in _KINDS else " ".join(str(error).split())
        raise UserError(f"--config.{show(name)}={show(value)}: {show(expected)}") from error


def _flat(config: ConfigDict) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= (
            {f"{name}.{rest}": at for rest, at in _flat(value).items()} if hasattr(value, "items") else {name: value}
        )
    return flat


def _find(name: str) -> Path:
    file = Path(name)
    if os.path.isfile(file):
        return file
    if file.suffix or len(file.parts) != 1:
        advice = f"the packaged one is --config {file.stem}" if file.stem in names() else _EXPECTED
        raise UserError(f"--config {show(name)}: no such file, {advice}")
    if name not in (*names(), *OTHERS):
        near = difflib.get_close_matches(name, names(), 1)
        raise UserError(
            f"--config {show(name)}: {f'did you mean {near[0]}?' if near else 'no such packaged settings'} "
            f"Expected a file or one of {', '.join(names())}"
        )
    return FOLDER / f"{name}.py"


def _get_config(file: Path, name: str) -> Callable[..., Any]:
    try:
        found = runpy.run_path(str(file)).get("get_config")
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"--config {name}: {_EXPECTED} ({_reason(error)})") from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and package_of(error) in {*EXTRAS, *REQUIRED}:
            raise  # the program says how to install it
        raise UserError(f"--config {name}: {_reason(error)}") from error
    if not callable(found):
        raise UserError(f"--config {name}: no get_config() in it, {_EXPECTED}")
    get_config: Callable[..., Any] = found
    return get_config


def _reason(error: Exception) -> str:
    """The error in one line, with the place in the settings file unless the file raised it on purpose."""
    absent = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if absent.startswith("vp_jax.configs."):
        return f"no settings named {absent.rpartition('.')[2]!r}: one of {', '.join(names())}"
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError):
        return text
    if isinstance(error, SyntaxError):
        return text
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text}, line {place.lineno} of {place.filename}"
