"""What a compiled program does on one device, read from its optimised HLO text: operations and bytes sent.

Operations of every computation count as often as it runs (`vp_jax.planning.operations`). The bytes of a collective are
those that one device sends if the devices form a ring: (n-1)/n of the complete array for all-gather, reduce-scatter and
all-to-all, twice that for all-reduce, all of it for collective-permute.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from vp_jax.planning.hlo_text import SHAPE, HloShape, Instruction, parse, runs
from vp_jax.planning.operations import operations

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")


class Traffic(NamedTuple):
    """Collectives of one kind in one run of the program, on one device."""

    times: int
    sent_bytes: float


@dataclasses.dataclass(frozen=True)
class Totals:
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


def analyse(text: str, devices: int = 1) -> Totals:
    """Totals of a program from ``compiled.as_text()``.

    Args:
      text: optimised HLO of one device.
      devices: of the complete program, for collectives over all of them.
    """
    computations, entry = parse(text)
    times, unknown = runs(computations, entry)
    matmul = attention = 0.0
    count: dict[str, int] = collections.defaultdict(int)
    sent: dict[str, float] = collections.defaultdict(float)
    for name, factor in times.items():
        shapes = {i.name: i.shapes for i in computations.get(name, ())}
        for i in computations.get(name, ()):
            done = operations(i, shapes)
            matmul += factor * done.matmul
            attention += factor * done.attention
            kind = i.op.removesuffix("-start")
            if kind in COLLECTIVES:
                count[kind] += factor
                sent[kind] += factor * _sent(kind, i, shapes, devices)
    return Totals(matmul, attention, {kind: Traffic(count[kind], sent[kind]) for kind in sorted(count)}, unknown)


def _sent(kind: str, i: Instruction, shapes: Mapping[str, tuple[HloShape, ...]], devices: int) -> float:
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
        for kind, dims in SHAPE.findall(text)
        if sum(int(d) >= side for d in dims.split(",") if d) >= 2
    }
    return sorted(found)
