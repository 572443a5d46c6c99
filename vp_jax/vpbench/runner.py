"""Runs a benchmark: every clip with every method and seed, one row each; finished rows are not made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.errors import UserError, escaped
from vp_jax.eval.score import Score
from vp_jax.vpbench.benchmarks import Benchmark
from vp_jax.vpbench.clips import BenchClip, BenchInputs
from vp_jax.vpbench.methods import FolderMethod, Method, open_result, windows_of
from vp_jax.vpbench.rows import MADE, SCORED, STARTED, UNUSABLE, BenchRow, BenchStore, RowKey, digest_of_facts
from vp_jax.vpbench.scoring import score_result


class RowDone(NamedTuple):
    """A row is finished; ``kept``: it was before."""

    row: BenchRow
    number: int
    total: int
    kept: bool


@dataclass(frozen=True)
class BenchRun:
    """What is run.

    Attributes:
      benchmark: its clips.
      methods: what makes or finds results.
      seeds: of the methods that have seeds; others have one row, of the first seed.
      scores: what is computed.
      store: where rows go.
      networks: of the scores.
      cut: see `open_result`.
      paste: see `score_result`.
      data: where the benchmark was opened.
    """

    benchmark: Benchmark
    methods: Sequence[Method]
    seeds: Sequence[int]
    scores: Sequence[Score]
    store: BenchStore
    networks: Mapping[str, Any] = field(default_factory=dict)
    cut: bool = False
    paste: bool = False
    data: Path | None = None

    def rows(self, shard: tuple[int, int] = (0, 1)) -> Iterator[RowDone]:
        """Make, find and score everything that is not finished; bad clips and results become rows with an error.

        Args:
          shard: the part of the clips that this process takes, and the number of parts.

        Raises:
          UserError: the folder holds another benchmark, or cannot be written.
        """
        part = self.benchmark.shard(*shard)
        folders = {method.name: method.folder for method in self.methods if isinstance(method, FolderMethod)}
        self.store.describe(self.benchmark, [score.name for score in self.scores], self.data, folders)
        work = [(method, seed) for method in self.methods for seed in (self.seeds if method.seeded else self.seeds[:1])]
        total, number = len(part.clips) * len(work), 0
        for clip in part.clips:
            opened = _Opened(clip)
            for method, seed in work:
                number += 1
                yield self._row(clip, opened, method, seed, number, total)

    def _row(self, clip: BenchClip, opened: _Opened, method: Method, seed: int, number: int, total: int) -> RowDone:
        key = RowKey(clip.name, method.name, seed)
        old, made = self.store.row(key), ""
        row = BenchRow(*key, group=clip.group)
        try:
            made = digest_of_facts(clip.prompt, clip.target, clip.task, dict(clip.facts), method.facts(clip, seed))
            scored = digest_of_facts(made, [score.name for score in self.scores], self.cut, self.paste)
            if old is not None and (old.state, old.scored) == (SCORED, scored):
                return RowDone(old, number, total, True)
            inputs, out = opened.inputs(), self.store.result_file(key)
            place = method.place(clip, seed, out)
            if old is None or old.made != made or old.state not in (MADE, SCORED) or not place.exists():
                self.store.add(BenchRow(*key, group=clip.group, state=STARTED, made=made))
                place = method.result(clip, inputs, seed, out, fresh=old is None or old.made != made)
                self.store.add(BenchRow(*key, group=clip.group, state=MADE, made=made))
            row = self._scored(clip, inputs, place, BenchRow(*key, clip.group, SCORED, made, scored))
        except UserError as error:
            row = BenchRow(*key, clip.group, UNUSABLE, made, error=str(error))
        except Exception as error:  # the rest of the benchmark goes on; the row says what happened
            line = escaped(f"unexpected {type(error).__name__}: {error}")
            row = BenchRow(*key, clip.group, UNUSABLE, made, error=line)
        self.store.add(row)
        return RowDone(row, number, total, False)

    def _scored(self, clip: BenchClip, inputs: BenchInputs, place: Path, row: BenchRow) -> BenchRow:
        result_FHWC = open_result(place, inputs, cut=self.cut)
        values = score_result(
            result_FHWC,
            clip,
            inputs,
            self.scores,
            networks=self.networks,
            paste=self.paste,
            windows=windows_of(place),
        )
        missing = len(inputs.frames_FHWC) - len(result_FHWC)
        note = f"{missing} frames at the end are missing" if missing else ""
        return BenchRow(*row.key, row.group, SCORED, row.made, row.scored, values, note=note, frames=len(result_FHWC))


class _Opened:
    """A clip that is opened once, by the first method that needs it."""

    def __init__(self, clip: BenchClip) -> None:
        self._clip = clip
        self._inputs: BenchInputs | None = None

    def inputs(self) -> BenchInputs:
        if self._inputs is None:
            self._inputs = self._clip.open()
        return self._inputs
