"""Lower every program for every platform, on any machine: does it exist for the device it is meant for?

Lowering stops before the compiler of the device: types and shapes that a kernel refuses are found, memory that is
missing is not. For that see `vp_jax.planning.aot`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax

from vp_jax import sharding
from vp_jax.inference.load import PRECISIONS
from vp_jax.planning.case import Case
from vp_jax.planning.programs import PROGRAMS

PLATFORMS = ("cpu", "cuda", "tpu")


class Cell(NamedTuple):
    """One program, one type, one platform.

    Attributes:
      attention: backend of the attention in it, empty if there is none.
      fault: why it cannot be lowered; ``None``: it can.
    """

    program: str
    precision: str
    platform: str
    attention: str
    fault: Exception | None

    def __str__(self) -> str:
        if self.fault is not None:
            return "FAILED"
        return self.attention or "ok"


class Lowering:
    """Lowers the programs of one model for several platforms; those that share a program share the work."""

    def __init__(self, model: str, platforms: Sequence[str] = PLATFORMS) -> None:
        self._model, self._platforms = model, platforms
        self._mesh = sharding.make_mesh({}, jax.devices()[:1])

    def cells(self, program: str, precision: str) -> list[Cell]:
        """One program for all platforms; empty if the model has no such part."""
        cases = {platform: Case(self._mesh, platform, self._model, precision) for platform in self._platforms}
        attention: dict[str, str] = {}
        faults: dict[str, Exception] = {}
        while rest := [platform for platform in self._platforms if platform not in {**attention, **faults}]:
            first = rest[0]
            try:
                prepared = PROGRAMS[program].prepare(cases[first])
                if prepared is None:
                    return []
                traced = prepared.trace(self._mesh)
            except Exception as fault:  # the table reports whatever goes wrong with any program
                faults[first] = fault
                continue
            same = [p for p in rest if not prepared.attention or cases[p].attention == prepared.attention]
            attention |= dict.fromkeys(same, prepared.attention)
            faults |= self._faults(traced, same)
        return [Cell(program, precision, p, attention.get(p, ""), faults.get(p)) for p in self._platforms]

    def _faults(self, traced: Any, platforms: Sequence[str]) -> dict[str, Exception]:
        """Lower for all platforms at once and, if that fails, for each by itself, to know which it was."""
        try:
            with jax.set_mesh(self._mesh):
                traced.lower(lowering_platforms=tuple(platforms))
            return {}
        except Exception as fault:
            if len(platforms) == 1:
                return {platforms[0]: fault}
            return {name: fault for platform in platforms for name, fault in self._faults(traced, [platform]).items()}


def lowering_table(
    model: str = "nano",
    programs: Sequence[str] = tuple(PROGRAMS),
    precisions: Sequence[str] = PRECISIONS,
    platforms: Sequence[str] = PLATFORMS,
) -> Iterator[list[Cell]]:
    """The cells of one program after another.

    Args:
      model: of `vp_jax.models.variants`.
      programs: names of `vp_jax.planning.programs.PROGRAMS`; those that the model does not have are left out.
      precisions: of `PRECISIONS`.
      platforms: of `PLATFORMS`.
    """
    lowering = Lowering(model, platforms)
    for program in programs:
        row = [cell for precision in precisions for cell in lowering.cells(program, precision)]
        if row:
            yield row


def print_table(
    model: str = "nano",
    programs: Sequence[str] = tuple(PROGRAMS),
    precisions: Sequence[str] = PRECISIONS,
    platforms: Sequence[str] = PLATFORMS,
    say: Callable[[str], None] = print,
) -> int:
    """Print the table: a program a line, a type and a platform a column; in it the backend of attention, or ok.

    Args:
      model: name of a model.
      programs: names in `PROGRAMS`.
      precisions: compute types.
      platforms: among `PLATFORMS`.
      say: prints a line.

    Returns:
      Exit status: 1 if a program cannot be lowered.
    """
    begin, cells = time.perf_counter(), list[Cell]()
    columns = [f"{precision}/{platform}" for precision in precisions for platform in platforms]
    say(f"{model:28}" + "".join(f"{column:>15}" for column in columns))
    for row in lowering_table(model, programs, precisions, platforms):
        say(f"{row[0].program:28}" + "".join(f"{cell!s:>15}" for cell in row))
        cells += row
    faults = [cell for cell in cells if cell.fault is not None]
    for cell in faults:
        text = " ".join(str(cell.fault).split())[:200]
        say(f"{cell.program} {cell.precision} {cell.platform}: {type(cell.fault).__name__}: {text}")
    say(f"{len(cells) - len(faults)} of {len(cells)} lowered in {time.perf_counter() - begin:.0f} s")
    return int(bool(faults))
