"""The one parser of every command line: mistakes are `UserError` lines, and a near miss is named."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from vp_jax.errors import UserError
from vp_jax.reading import show

_SETTING = re.compile(r"--?(no)?config\.")
_VALUE = re.compile(r"[^-]|-[\d.]|-?$")
"""What may follow a setting as its value: no flag, but a negative number."""
_NEGATIVE = re.compile(r"-[\d.][\d.,;:@-]*$")
"""Values that begin with a minus: numbers, and positions such as ``-10,20,30,40`` or ``-10,10;60,40@30``."""


class Parser(argparse.ArgumentParser):
    """An ``argparse`` parser whose mistakes raise; flags are never abbreviated.

    Attributes:
      settings: ``--config.NAME=VALUE`` are taken too; the result has them as ``settings``, see `cli.settings`.
      passes_on: arguments after ``--`` are kept under this name for another program; empty: none are.
    """

    settings: bool = False
    passes_on: str = ""

    def __init__(self, **kwargs: Any) -> None:
        module = getattr(sys.modules.get("__main__"), "__spec__", None)
        if module is not None:  # started as python -m NAME
            kwargs.setdefault("prog", f"python -m {module.name.removesuffix('.__main__')}")
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**{**kwargs, "allow_abbrev": False})
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        """Raise `UserError` instead of leaving the program."""
        shown = " ".join(show(word) for word in message.split(" "))  # an argument may be long and hold anything
        raise UserError(f"{shown}; see {self.prog} --help")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """The arguments, by default those of the process.

        Raises:
          UserError: an unknown flag, a missing or a wrong value.
        """
        argv = [*(sys.argv[1:] if args is None else args)]
        kept: dict[str, list[str]] = {}
        if self.passes_on:
            end = argv.index("--") if "--" in argv else len(argv)
            argv, kept[self.passes_on] = argv[:end], argv[end + 1 :]
        if self.settings:
            argv, kept["settings"] = split_settings(argv)
        found, unknown = self.parse_known_args(argv, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        for action in self._actions:
            value = getattr(found, action.dest, None)
            if action.nargs is None and value != action.default and value in ([], [[]]):  # argparse drops a value "--"
                self.error(f"argument {'/'.join(action.option_strings)}: expected one argument")
        for name, values in kept.items():
            setattr(found, name, values)
        return found

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        if action.type is Path and not arg_string.strip():  # Path("") would be the current folder
            self.error(f"argument {'/'.join(action.option_strings) or action.dest}: is empty, expected a name")
        return super()._get_value(action, arg_string)

    def actions(self) -> dict[str, argparse.Action]:
        """What each flag does, by its name without dashes."""
        return {name[2:]: action for name, action in self._option_string_actions.items() if name.startswith("--")}

    def _unknown(self, arguments: Sequence[str]) -> str:
        flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
        if not flags:
            return f"unexpected arguments {' '.join(arguments)}"
        near = difflib.get_close_matches(flags[0], self._flags(), 1)
        return f"unknown flag {flags[0]}" + (f": did you mean {near[0]}?" if near else "")

    def _flags(self) -> list[str]:
        names = [name for name in self._option_string_actions if name.startswith("--")]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                names += [name for parser in action.choices.values() for name in parser._flags()]
        return names


def split_settings(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """``--config.NAME=VALUE`` and ``--config.NAME VALUE`` apart from the rest; the second form becomes the first."""
    rest: list[str] = []
    settings: list[str] = []
    for place, word in enumerate(argv):
        if _SETTING.match(word):
            settings.append(word)
        elif place and _takes_value(argv[place - 1]) and _VALUE.match(word):
            settings[-1] += f"={word}"
        else:
            rest.append(word)
    return rest, settings


def _takes_value(word: str) -> bool:
    found = _SETTING.match(word)
    return found is not None and not found[1] and "=" not in word
