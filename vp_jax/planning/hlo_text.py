"""HLO text as instructions: what `jax.stages.Compiled.as_text` gives, and how often each computation runs.

`compiled.cost_analysis()` counts the body of a loop once. Here every computation has the number of times it runs: a
scan over 42 layers counts 42 times, wherever it is nested.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_BYTES = {
    "pred": 1,
    "s8": 1,
    "u8": 1,
    "s16": 2,
    "u16": 2,
    "f16": 2,
    "bf16": 2,
    "s32": 4,
    "u32": 4,
    "f32": 4,
    "s64": 8,
    "u64": 8,
    "f64": 8,
    "s4": 1,
    "u4": 1,
    "f8e4m3fn": 1,
    "f8e5m2": 1,
}
SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")
"""Element type and dimensions of an array."""


class HloShape(NamedTuple):
    """Element type and dimensions."""

    kind: str
    dims: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of an array of this shape; 0 for tokens and other types without a size."""
        return _BYTES.get(self.kind, 0) * math.prod(self.dims)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line: ``%name = shapes op(operands), attributes``."""

    name: str
    op: str
    shapes: tuple[HloShape, ...]
    operands: tuple[str, ...]
    rest: str


def parse(text: str) -> tuple[dict[str, list[Instruction]], str]:
    """Instructions of every computation, and the name of the entry."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.\-]+) .*\{$", line)
        if head and not line.startswith((" ", "HloModule")):
            current = computations.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        elif line.rstrip() == "}":
            current = None
        elif current is not None and re.match(r"\s+(ROOT )?%[\w.\-]+ = ", line):  # else: attributes over several lines
            current.append(_instruction(line))
    return computations, entry


def _instruction(line: str) -> Instruction:
    name, _, body = line.strip().removeprefix("ROOT ").partition(" = ")
    end = _closing(body, 0) + 1 if body.startswith("(") else body.index(" ")
    op, _, _ = body[end:].strip().partition("(")
    opening = body.index("(", end)
    closing = _closing(body, opening)
    return Instruction(
        name.lstrip("%"),
        op,
        _shapes(body[:end]),
        tuple(re.findall(r"%([\w.\-]+)", body[opening:closing])),
        body[opening:],
    )


def _closing(text: str, start: int) -> int:
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0:
            return i
    return len(text)


def _shapes(text: str) -> tuple[HloShape, ...]:
    return tuple(HloShape(kind, tuple(int(d) for d in dims.split(",") if d)) for kind, dims in SHAPE.findall(text))


def runs(computations: Mapping[str, list[Instruction]], entry: str) -> tuple[dict[str, int], int]:
    """How many times each computation runs, and the number of loops of unknown length."""
    times: dict[str, int] = collections.defaultdict(int)
    unknown = 0

    def visit(name: str, factor: int) -> None:
        nonlocal unknown
        times[name] += factor
        for instruction in computations.get(name, ()):
            inner = factor
            if instruction.op == "while":
                turns = _turns(instruction, computations)
                unknown += turns is None
                inner *= turns or 1
            for called in _called(instruction):
                visit(called, inner)

    visit(entry, 1)
    return dict(times), unknown


def _called(instruction: Instruction) -> Iterator[str]:
    for match in re.finditer(
        r"\b(?:calls|to_apply|body|condition|called_computations|branch_computations)="
        r"(?:\{([^}]*)\}|%?([\w.\-]+))",
        instruction.rest,
    ):
        yield from (part.strip().lstrip("%") for part in (match[1] or match[2]).split(","))


def _turns(loop: Instruction, computations: Mapping[str, list[Instruction]]) -> int | None:
    """Turns of a while: the compiler's note, or the bound that a scan's counter is compared with."""
    note = re.search(r"known_trip_count\W+n\W+(\d+)", loop.rest)
    if note:
        return int(note[1])
    condition = re.search(r"condition=%?([\w.\-]+)", loop.rest)
    body = computations.get(condition[1], []) if condition else []
    bounds = [int(m[1]) for i in body if i.op == "constant" and (m := re.match(r"\((\d+)\)", i.rest))]
    return bounds[0] if len(bounds) == 1 and any("direction=LT" in i.rest for i in body) else None
