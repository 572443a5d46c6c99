"""What a compiled program does on one device, read from its optimised HLO text.

`compiled.cost_analysis()` counts the body of a loop once and a Pallas kernel not at all. Here every computation has the
number of times it runs: a scan over 42 layers counts 42 times, wherever it is nested.

    operations    2 x multiply-adds of dot, convolution (the TPU compiler's form of a matmul) and splash attention
    collectives   number and bytes that one device sends, as rings: (n-1)/n of the whole array for all-gather,
                  reduce-scatter and all-to-all, twice that for all-reduce, all of it for collective-permute
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")

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
_SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,]*)\]")
_MATMULS = {"fwd": 2, "dq": 3, "dkv": 4}
"""Products of the splash kernels: q k, p v; again q k, do v, ds k; again q k, do v, p do, ds q."""


class Shape(NamedTuple):
    """Element type and dimensions."""

    kind: str
    dims: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return _BYTES.get(self.kind, 0) * math.prod(self.dims)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line: ``%name = shapes op(operands), attributes``."""

    name: str
    op: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    rest: str


class Traffic(NamedTuple):
    """Collectives of one kind in one run of the program, on one device."""

    times: int
    sent_bytes: float


@dataclasses.dataclass(frozen=True)
class Program:
    """Totals of one run on one device.

    Attributes:
      matmul_flops, attention_flops: operations outside and inside of fused attention kernels.
      collectives: by kind.
      unknown_loops: loops whose number of turns is not in the text; their bodies count once.
    """

    matmul_flops: float
    attention_flops: float
    collectives: dict[str, Traffic]
    unknown_loops: int


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


def _shapes(text: str) -> tuple[Shape, ...]:
    return tuple(Shape(kind, tuple(int(d) for d in dims.split(",") if d)) for kind, dims in _SHAPE.findall(text))


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


def analyse(text: str, devices: int = 1) -> Program:
    """Totals of a program from ``compiled.as_text()``.

    Args:
      text: optimised HLO of one device.
      devices: of the whole program, for collectives over all of them.
    """
    computations, entry = parse(text)
    times, unknown = runs(computations, entry)
    matmul = attention = 0.0
    count: dict[str, int] = collections.defaultdict(int)
    sent: dict[str, float] = collections.defaultdict(float)
    for name, factor in times.items():
        shapes = {i.name: i.shapes for i in computations.get(name, ())}
        for i in computations.get(name, ()):
            if i.op == "dot":
                matmul += factor * _dot_flops(i, shapes)
            elif i.op == "convolution":
                matmul += factor * _convolution_flops(i, shapes)
            elif i.op == "custom-call" and "splash_mha" in i.name + i.rest:
                attention += factor * _splash_flops(i, shapes)
            kind = i.op.removesuffix("-start")
            if kind in COLLECTIVES:
                count[kind] += factor
                sent[kind] += factor * _sent(kind, i, shapes, devices)
    return Program(matmul, attention, {kind: Traffic(count[kind], sent[kind]) for kind in sorted(count)}, unknown)


def _dot_flops(i: Instruction, shapes: Mapping[str, tuple[Shape, ...]]) -> float:
    left = shapes[i.operands[0]][0].dims
    contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", i.rest)
    dims = [int(d) for d in contracted[1].split(",") if d] if contracted else []
    return 2.0 * math.prod(i.shapes[0].dims) * math.prod(left[d] for d in dims)


def _convolution_flops(i: Instruction, shapes: Mapping[str, tuple[Shape, ...]]) -> float:
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", i.rest)
    assert labels, i.rest[:200]
    base, kernel = shapes[i.operands[0]][0].dims, shapes[i.operands[1]][0].dims
    out = i.shapes[0].dims
    groups = re.search(r"batch_group_count=(\d+)", i.rest)
    flops = 2.0 * out[labels[3].index("b")] * out[labels[3].index("f")] * kernel[labels[2].index("i")]
    spatial = sorted(label for label in labels[3] if label.isdigit())
    for d, label in enumerate(spatial):
        flops *= _taps(
            base[labels[1].index(label)],
            kernel[labels[2].index(label)],
            out[labels[3].index(label)],
            {key: _window(i.rest, key, d) for key in ("stride", "pad", "lhs_dilate", "rhs_dilate")},
        )
    return flops / int(groups[1]) if groups else flops


def _window(rest: str, key: str, dimension: int) -> int:
    window = re.search(r"window=\{([^}]*)\}", rest)
    value = window and re.search(rf"\b{key}=([\d_x\-]+)", window[1])
    if not value:
        return 0 if key == "pad" else 1
    return int(value[1].split("x")[dimension].split("_")[0])


def _taps(base: int, kernel: int, out: int, window: Mapping[str, int]) -> int:
    """Pairs of output position and kernel tap along one dimension that meet a value, not padding or a dilation gap."""
    first, tap = np.arange(out) * window["stride"] - window["pad"], np.arange(kernel) * window["rhs_dilate"]
    at = first[:, None] + tap[None, :]
    inside = (at >= 0) & (at <= (base - 1) * window["lhs_dilate"]) & (at % window["lhs_dilate"] == 0)
    return int(inside.sum())


def _splash_flops(i: Instruction, shapes: Mapping[str, tuple[Shape, ...]]) -> float:
    kernel = re.search(r"splash_mha_(fwd|dq|dkv)", i.name + i.rest)
    arrays = [shapes[name][0] for name in i.operands if shapes.get(name)]
    heads = [a.dims for a in arrays if len(a.dims) >= 3 and a.kind in ("bf16", "f16", "f32")]
    assert kernel and len(heads) >= 3, i.rest[:200]
    queries, keys = heads[0], heads[1]
    return 2.0 * _MATMULS[kernel[1]] * math.prod(queries) * keys[-2]


def _sent(kind: str, i: Instruction, shapes: Mapping[str, tuple[Shape, ...]], devices: int) -> float:
    """Bytes that one device sends."""
    group = _group_size(i.rest, devices)
    inputs = sum(s.nbytes for name in i.operands for s in shapes.get(name, ()))
    share = (group - 1) / group
    return {
        "all-gather": inputs * (group - 1),
        "all-reduce": 2 * inputs * share,
        "reduce-scatter": inputs * share,
        "all-to-all": inputs * share,
        "collective-permute": inputs,
    }[kind]


def _group_size(rest: str, devices: int) -> int:
    """Devices that take part in one collective; three notations."""
    if listed := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(listed[1].split(","))
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(iota[2])
    if mesh := re.search(r"replica_groups=mesh\[([^\]]*)\].*?\{([^}]*)\}", rest):
        sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", mesh[1])}
        return math.prod(sizes[name] for name in re.findall(r"'([^']+)'", mesh[2]))
    return devices


def square_buffers(text: str, side: int) -> list[str]:
    """Shapes with two or more dimensions of at least ``side``: scores of every query with every key."""
    found = {
        f"{kind}[{dims}]"
        for kind, dims in _SHAPE.findall(text)
        if sum(int(d) >= side for d in dims.split(",") if d) >= 2
    }
    return sorted(found)
