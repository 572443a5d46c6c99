"""What a mutant is; they are listed in `tests.mutants`."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One fault: ``old``, which occurs once in ``file``, becomes ``new``; ``tests`` are the arguments of pytest."""

    name: str
    fault: str
    file: str
    old: str
    new: str
    tests: str
