"""What is fuzzed: a door is a way in which foreign input reaches the project."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.mutations import Rng

Attack = Callable[[Path, Rng], Callable[[], object]]

ROOMS = (
    *("file_doors", "data_doors", "shard_doors", "model_doors", "run_doors", "record_doors", "command_doors"),
    *("call_doors", "job_doors", "film_doors"),
)
"""Modules of this folder that register doors."""


class Door(NamedTuple):
    """A way in.

    Attributes:
      name: in the table, and for ``--door``.
      good: writes good input to an empty folder; called once for each process.
      attack: damages a copy of that folder and returns the call that meets it. The call returns, or raises `UserError`.
      share: of the inputs, relative to the other doors.
    """

    name: str
    good: Callable[[Path], None]
    attack: Attack
    share: float = 1.0


class Stopped(Exception):
    """The input was accepted: what comes next would be a model at work."""


class Wrong(Exception):
    """Input was accepted that must not be, or gave other values than it holds."""


DOORS: dict[str, Door] = {}


def door(name: str, good: Callable[[Path], None], share: float = 1.0) -> Callable[[Attack], Attack]:
    """Register the decorated attack."""

    def register(attack: Attack) -> Attack:
        DOORS[name] = Door(name, good, attack, share)
        return attack

    return register


def nothing(folder: Path) -> None:
    """Good input of doors that read no files."""


def load_doors() -> dict[str, Door]:
    """All doors by name."""
    for room in ROOMS:
        importlib.import_module(f"tests.fuzz.{room}")
    return DOORS
