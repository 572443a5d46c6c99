"""What a compiled program takes of one device: memory, operations, bytes sent, and the least time for them."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from vp_jax.planning import hlo
from vp_jax.planning.case import Prepared
from vp_jax.planning.devices import GB, Chip, Target

LONG = 17_000
"""Both dimensions of an array of scores are at least this long at the released size of 17,776 tokens."""


@dataclasses.dataclass(frozen=True)
class Report:
    """One program on one device, in bytes.

    Attributes:
      arguments, outputs, temporaries: of the program.
      aliased: outputs that take the place of donated arguments.
      resident: weights of other programs, which wait while it runs.
      seconds: of compilation.
      program: operations and collectives.
      squares: buffers of tokens x tokens, which fused attention does without.
      too_big: the compiler's own words where it gave up for want of memory; the other numbers are then 0.
    """

    name: str
    arguments: int = 0
    outputs: int = 0
    aliased: int = 0
    temporaries: int = 0
    resident: int = 0
    seconds: float = 0.0
    program: hlo.Totals | None = None
    squares: tuple[str, ...] = ()
    too_big: str = ""

    @property
    def total(self) -> int:
        """Bytes in use while the program runs."""
        return self.arguments + self.outputs - self.aliased + self.temporaries + self.resident

    def fits(self, memory: float) -> bool:
        """The program runs in ``memory`` GB."""
        return not self.too_big and self.total <= memory * GB


def compile_report(name: str, prepared: Prepared, mesh: Mesh, options: Mapping[str, Any] | None = None) -> Report:
    """Compile a program and read off what it takes of one device.

    Args:
      name: of the report.
      prepared: the program.
      mesh: devices, which you need not have.
      options: of the compiler.
    """
    start = time.perf_counter()
    try:
        with jax.set_mesh(mesh):
            program = prepared.function.lower(*prepared.arguments, **prepared.static).compile(dict(options or {}))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or "hbm" not in str(error).lower():
            raise  # a kernel whose blocks are too large for the vector memory is our fault, not the run's
        used = re.search(r"Used ([\d.]+\w) of ([\d.]+\w) hbm", str(error))
        return Report(name, resident=prepared.waiting, too_big=used[0] if used else str(error).splitlines()[0])
    memory, text = program.memory_analysis(), program.as_text()
    return Report(
        name,
        memory.argument_size_in_bytes,
        memory.output_size_in_bytes,
        memory.alias_size_in_bytes,
        memory.temp_size_in_bytes,
        prepared.waiting,
        time.perf_counter() - start,
        hlo.analyse(text, mesh.size),
        tuple(hlo.square_buffers(text, LONG)),
    )


def lines(report: Report, goal: Target, model_flops: float | None = None) -> list[str]:
    """The lines of a report; ``model_flops`` of one device, if known, stand beside those of the program."""
    if report.too_big:
        return [
            f"{report.name}: the compiler gave up: {report.too_big}, {report.resident / GB:.2f} GB of other programs"
        ]
    assert report.program is not None
    program = report.program
    done = program.matmul_flops + program.attention_flops
    parts = f"arguments {_gb(report.arguments)} + outputs {_gb(report.outputs)} - aliased {_gb(report.aliased)}"
    parts += f" + temporaries {_gb(report.temporaries)}"
    if report.resident:
        parts += f" + other programs {_gb(report.resident)}"
    text = [
        f"{report.name} (compiled in {report.seconds:.0f} s)",
        f"  memory per device: {parts} = {_gb(report.total)} GB",
        f"  operations per device: {done / 1e12:.1f} TFLOP, {program.attention_flops / 1e12:.1f} of them attention"
        + (f"; the model needs {model_flops / 1e12:.1f}" if model_flops else "")
        + (f"; {program.unknown_loops} loops of unknown length counted once" if program.unknown_loops else ""),
    ]
    text += [
        f"  {kind}: {traffic.times} x, {traffic.sent_bytes / GB:.2f} GB sent"
        for kind, traffic in program.collectives.items()
    ]
    text.append(f"  buffers of tokens x tokens: {', '.join(report.squares) or 'none'}")
    if goal.chip is not None:
        compute, links = roofline(program, goal.chip)
        text.append(
            f"  roofline: compute {compute:.3f} s (attention at {goal.chip.fill:.0%} of the matrix unit), "
            f"links {links:.3f} s; at best {max(compute, links):.3f} s"
        )
    return text


def roofline(program: hlo.Totals, chip: Chip) -> tuple[float, float]:
    """Least seconds for the operations, and for the bytes between devices."""
    return (
        program.matmul_flops / chip.peak + program.attention_flops / (chip.peak * chip.fill),
        sum(traffic.sent_bytes for traffic in program.collectives.values()) / chip.links,
    )


def verdict(reports: list[Report], goal: Target) -> tuple[str, Report | None]:
    """The last line of a report, and the program that does not fit; ``None`` if all do."""
    if goal.memory is None:
        return "memory of this device is not known: nothing to compare with", None
    worst = max(reports, key=lambda report: (bool(report.too_big), report.total))
    if worst.fits(goal.memory):
        return f"fits: {_gb(worst.total)} of {goal.memory:g} GB per device{_share(worst, goal)}", None
    return f"does not fit {goal.memory:g} GB per device", worst


def _share(worst: Report, goal: Target) -> str:
    """JAX takes three quarters of a GPU unless it is told otherwise."""
    if goal.platform != "gpu" or goal.memory is None or worst.fits(0.75 * goal.memory):
        return ""
    return "; set XLA_PYTHON_CLIENT_MEM_FRACTION=.95, JAX takes 75 % of a GPU by default"


def _gb(size: float) -> str:
    return f"{size / GB:.2f}"
