"""From rows to tables: a mean with its interval for each group, method and score, differences, ranks, failures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vp_jax.errors import UserError
from vp_jax.eval.bootstrap import Interval
from vp_jax.eval.score import Score
from vp_jax.eval.scores import SCORES
from vp_jax.reading import show
from vp_jax.vpbench.rows import SCORED, UNUSABLE, BenchRow
from vp_jax.vpbench.statistics import SeedValues, mean_ranks, paired_interval, seed_interval

ALL_GROUPS = "all"


class MethodRow(NamedTuple):
    """A row of a table.

    Attributes:
      method: its name.
      values: mean and interval by score; bounds are NaN of scores of a set.
      gaps: paired difference from the base by score; empty for the base itself.
      rank: mean rank over clips and scores, 1 = best; NaN without common clips.
      clips: with a score.
      failed: rows without a result.
      seeds: number of seeds.
    """

    method: str
    values: dict[str, Interval]
    gaps: dict[str, Interval]
    rank: float
    clips: int
    failed: int
    seeds: int


class GroupTable(NamedTuple):
    """The table of a group of clips.

    Attributes:
      group: its name; "all" for every clip.
      clips: in the group.
      scores: names of the columns.
      rows: best mean rank first.
      base: the method that differences are from, "" for none.
    """

    group: str
    clips: int
    scores: tuple[str, ...]
    rows: list[MethodRow]
    base: str

    def best(self, score: str) -> set[str]:
        """Methods with the best mean; none where all are equal."""
        known = {row.method: row.values[score].mean for row in self.rows if not math.isnan(row.values[score].mean)}
        if len(set(known.values())) < 2:
            return set()
        extreme = (max if SCORES[score].better == "higher" else min)(known.values())
        return {method for method, mean in known.items() if mean == extreme}


def group_tables(
    rows: Sequence[BenchRow],
    description: Mapping[str, Any],
    *,
    base: str | None = None,
    scores: Sequence[str] | None = None,
) -> list[GroupTable]:
    """Tables of all clips and of each group, if there are several.

    Args:
      rows: see `merged_rows`.
      description: see `BenchStore.description`.
      base: method that differences are from; default: the first by name.
      scores: columns; default: those that any row has.

    Raises:
      UserError: no rows, an unknown base or score.
    """
    if not rows:
        raise UserError("no rows: expected a folder into which a benchmark was run or scored")
    methods = sorted({row.method for row in rows})
    base = methods[0] if base is None else base
    if base not in methods:
        raise UserError(f"base {show(base)}: expected one of {', '.join(methods)}")
    have = {name for row in rows for name, value in row.values.items() if isinstance(value, list) or value == value}
    for name in scores or ():
        if name not in have:
            raise UserError(f"score {show(name)}: no row has it, expected among {', '.join(sorted(have))}")
    columns = tuple(scores or (name for name in SCORES if name in have))
    clips = description["clips"]
    groups = list(dict.fromkeys(clip["group"] for clip in clips))
    tables = [_group(ALL_GROUPS, rows, len(clips), columns, base)]
    for group in groups if len(groups) > 1 else []:
        part = [row for row in rows if row.group == group]
        if part:
            count = sum(clip["group"] == group for clip in clips)
            tables.append(_group(group, part, count, columns, base))
    return tables


def _group(group: str, rows: Sequence[BenchRow], clips: int, columns: tuple[str, ...], base: str) -> GroupTable:
    methods = sorted({row.method for row in rows})
    scored = {method: [row for row in rows if row.method == method and row.state == SCORED] for method in methods}
    values = {name: {m: seed_values(scored[m], name) for m in methods if scored[m]} for name in columns}
    usable = [(SCORES[name].better == "higher", by_method) for name, by_method in values.items()]
    ranks = mean_ranks(usable)
    out = []
    for method in methods:
        own = scored[method]
        gaps = {}
        if method != base and scored.get(base):
            gaps = {n: paired_interval(values[n].get(method, {}), values[n].get(base, {})) for n in columns}
        out.append(
            MethodRow(
                method,
                {name: score_interval(own, SCORES[name]) for name in columns},
                gaps,
                ranks.get(method, math.nan),
                len({row.clip for row in own}),
                sum(row.method == method and row.state == UNUSABLE for row in rows),
                len({row.seed for row in rows if row.method == method}),
            )
        )
    out.sort(key=lambda row: (math.isnan(row.rank), row.rank, row.method))
    return GroupTable(group, clips, columns, out, base)


def seed_values(rows: Sequence[BenchRow], score: str) -> SeedValues:
    """A score by clip and seed; scores of a set have no values of clips."""
    out: dict[str, dict[int, float]] = {}
    for row in rows:
        value = row.values.get(score, math.nan)
        if not isinstance(value, list):
            out.setdefault(row.clip, {})[row.seed] = float(value)
    return out


def score_interval(rows: Sequence[BenchRow], score: Score) -> Interval:
    """Mean of a score over clips and seeds; of a score of a set, its value over all rows, without bounds."""
    found = [(row.values[score.name], row.frames) for row in rows if score.name in row.values]
    if any(isinstance(value, list) for value, _ in found) or score.protocol == "reference":
        import numpy as np

        values = [np.asarray(value) if isinstance(value, list) else value for value, _ in found]
        mean = score.average(values, [frames for _, frames in found])
        return Interval(float(mean), math.nan, math.nan, len({row.clip for row in rows}))
    return seed_interval(seed_values(rows, score.name))
