"""The benchmarks by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.vpbench.clips import BenchClip
from vp_jax.vpbench.drawn import DRAWN_GROUPS, DRAWN_SIZE, drawn_clips
from vp_jax.vpbench.listed import listed_clips
from vp_jax.vpbench.published import PAPER_SIZE, VPBENCH_TABLES, davis_clips, vpbench_clips
from vp_jax.world.looks import DEFAULT_LOOK

BENCHMARK_NAMES = ("world", *VPBENCH_TABLES, "davis", "table")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark and its clips.

    Attributes:
      name: one of `BENCHMARK_NAMES`.
      clips: in their order.
      results: given results by the name of their clip, of a table that lists them.
      settings: how it was opened, as JSON values.
    """

    name: str
    clips: Sequence[BenchClip] = field(repr=False)
    results: Mapping[str, Path] = field(default_factory=dict, repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def shard(self, number: int, count: int) -> Benchmark:
        """Every ``count``-th clip, from ``number`` on.

        Raises:
          UserError: no such part.
        """
        if not 0 <= number < count:
            raise UserError(f"shard {number}/{count}: expected 0/{count} to {count - 1}/{count}")
        return dataclasses.replace(self, clips=self.clips[number::count])


def open_benchmark(
    name: str,
    data: Path | None = None,
    *,
    clips: int | None = None,
    groups: Sequence[str] = DRAWN_GROUPS,
    size: tuple[int, int] | None = None,
    look: str = DEFAULT_LOOK,
) -> Benchmark:
    """A benchmark by its name.

    Args:
      name: one of `BENCHMARK_NAMES`.
      data: folder of VPBench or DAVIS, or the file of a table; the drawn world needs none.
      clips: use the first so many; of the drawn world, so many of each group, 8 by default.
      groups: of the drawn world.
      size: height and width at which clips are scored; default: 480 x 720 of the published sets, 64 x 96 of the drawn
        world, that of each source for tables.
      look: of the drawn world.

    Raises:
      UserError: an unknown name, missing data, or no clips.
    """
    if name not in BENCHMARK_NAMES:
        raise UserError(f"benchmark {show(name)}: expected one of {', '.join(BENCHMARK_NAMES)}")
    if clips is not None and clips < 1:
        raise UserError(f"clips {clips}: expected 1 or more")
    given = {"benchmark": name, "clips": clips, "size": list(size) if size else None}
    if name == "world":
        found = drawn_clips(8 if clips is None else clips, groups=tuple(groups), size=size or DRAWN_SIZE, look=look)
        return Benchmark(name, found, settings={**given, "groups": list(groups), "look": look})
    if data is None:
        raise UserError(f"benchmark {name} needs `data`, the {'table' if name == 'table' else 'downloaded folder'}")
    results: Mapping[str, Path] = {}
    if name == "table":
        found, results = listed_clips(data, size)
    elif name == "davis":
        found = davis_clips(data, size or PAPER_SIZE)
    else:
        found = vpbench_clips(name, data, size or PAPER_SIZE)
    if not found:
        raise UserError(f"{show(data)}: benchmark {name} has no clips there")
    return Benchmark(name, found[:clips], results, given)
