"""One row per (clip, method, seed), one file per row: written all or nothing, read again by the next run.

    OUT/bench.json                              what is measured; another benchmark is refused
    OUT/rows/<method>/<seed>/<clip>.json        state, values, digests of what they depend on
    OUT/results/<method>/<seed>/<clip>.mkv      of the methods that run here

Rows do not hold times or places, so a run that was killed, a run on several hosts, and a run in one go leave equal
rows. Merging is taking the union; the same row twice is the same row.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.digests import of_json
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.reading import read_json, show
from vp_jax.vpbench.benchmarks import Benchmark
from vp_jax.vpbench.clips import file_name

STARTED, MADE, SCORED, UNUSABLE = "started", "made", "scored", "failed"
DESCRIPTION = "bench.json"
_METHOD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


class RowKey(NamedTuple):
    """Which row."""

    clip: str
    method: str
    seed: int


@dataclass(frozen=True)
class BenchRow:
    """What became of a clip with a method and a seed.

    Attributes:
      clip, method, seed: its key.
      group: of the clip.
      state: `STARTED`, `MADE` (a result without scores), `SCORED` or `UNUSABLE`.
      made: digest of all that the result depends on.
      scored: digest of the result's making and of the scores.
      values: scores by name; NaN where one does not exist for this clip, a list where it is one of a set of clips.
      error: why there is no result, in one line.
      note: what a reader should know, "" if nothing.
      frames: that were scored.
    """

    clip: str
    method: str
    seed: int
    group: str = "all"
    state: str = UNUSABLE
    made: str = ""
    scored: str = ""
    values: Mapping[str, float | list[float]] = field(default_factory=dict)
    error: str = ""
    note: str = ""
    frames: int = 0

    @property
    def key(self) -> RowKey:
        """Its key."""
        return RowKey(self.clip, self.method, self.seed)

    def json(self) -> str:
        """Text of its file."""
        values = {name: None if value != value else value for name, value in self.values.items()}  # None: NaN
        return json.dumps({**dataclasses.asdict(self), "values": values}, indent=1) + "\n"


@dataclass(frozen=True)
class BenchStore:
    """The folder of a run."""

    folder: Path

    def describe(
        self, benchmark: Benchmark, scores: Iterable[str], data: Path | None = None, folders: Mapping[str, Path] = {}
    ) -> None:
        """Write what is measured.

        Args:
          benchmark: its clips.
          scores: names; those of earlier runs stay.
          data: where the benchmark was opened.
          folders: of results that were made elsewhere, by method.

        Raises:
          UserError: the folder holds another benchmark.
        """
        clips = [
            {"name": clip.name, "group": clip.group, "task": clip.task, "prompt": clip.prompt, "target": clip.target}
            for clip in benchmark.clips
        ]
        wanted = {"settings": dict(benchmark.settings), "clips": clips}
        path, known = self.folder / DESCRIPTION, dict[str, Any]()
        if path.exists():
            known = self.description()
            if {name: known.get(name) for name in wanted} != json.loads(json.dumps(wanted)):
                raise UserError(
                    f"{show(self.folder)} holds another benchmark, or other clips of it: give a new folder for this one"
                )
            scores = [*known["scores"], *(name for name in scores if name not in known["scores"])]
        places = {
            "data": str(data.absolute()) if data else known.get("data"),
            "folders": known.get("folders", {})
            | {method: str(folder.absolute()) for method, folder in folders.items()},
        }
        write_text(path, json.dumps({**wanted, "scores": [*scores], **places}, indent=1) + "\n")

    def description(self) -> dict[str, Any]:
        """What is measured.

        Raises:
          UserError: no benchmark was run into this folder.
        """
        path = self.folder / DESCRIPTION
        if not path.is_file():
            raise UserError(f"{show(self.folder)} has no {DESCRIPTION}: expected the folder of `vp-jax bench run`")
        return read_json(path, "the description of a benchmark")

    def row_file(self, key: RowKey) -> Path:
        """Where a row is."""
        return self.folder / "rows" / key.method / str(key.seed) / f"{file_name(key.clip)}.json"

    def result_file(self, key: RowKey) -> Path:
        """Where the result of a method that runs here is."""
        return self.folder / "results" / key.method / str(key.seed) / f"{file_name(key.clip)}.mkv"

    def row(self, key: RowKey) -> BenchRow | None:
        """A row, None if there is none yet. `UserError` if its file is damaged."""
        path = self.row_file(key)
        return _read(path) if os.path.exists(path) else None

    def add(self, row: BenchRow) -> None:
        """Write a row, over an older one of the same key."""
        write_text(self.row_file(row.key), row.json())

    def rows(self) -> Iterator[BenchRow]:
        """All rows, by method, seed and clip."""
        for path in sorted((self.folder / "rows").glob("*/*/*.json")):
            yield _read(path)


def merged_rows(stores: Iterable[BenchStore]) -> list[BenchRow]:
    """The rows of several folders, by method, seed and clip; finished ones before others.

    Raises:
      UserError: folders of different benchmarks, or two scored rows of one key that differ.
    """
    found: dict[RowKey, BenchRow] = {}
    known: dict[str, Any] | None = None
    for store in stores:
        described = {name: store.description()[name] for name in ("settings", "clips")}
        if known is not None and described != known:
            raise UserError(f"{show(store.folder)} holds another benchmark than the folders before it")
        known = described
        for row in store.rows():
            other = found.get(row.key)
            if other is not None and other.state == row.state == SCORED and not _same(other, row):
                raise UserError(
                    f"{show(store.folder)}: {row.method}, seed {row.seed}, {show(row.clip)} has other values than in "
                    "a folder before it: the runs had different settings, give one of them another method name"
                )
            if other is None or (row.state == SCORED and other.state != SCORED):
                found[row.key] = row
    return [found[key] for key in sorted(found, key=lambda key: (key.method, key.seed, key.clip))]


def check_method_name(name: str) -> str:
    """A name that can stand in tables and in paths.

    Raises:
      UserError: it cannot.
    """
    if not _METHOD.fullmatch(name):
        raise UserError(f"method {show(name)}: expected letters, digits, dots, dashes and underscores")
    return name


def digest_of_facts(*facts: object) -> str:
    """Short digest of JSON values."""
    return of_json(facts)[:20]


def _same(one: BenchRow, other: BenchRow) -> bool:
    return one.json() == other.json()


def _read(path: Path) -> BenchRow:
    values = read_json(path, "a row of a benchmark")
    try:
        scores = {name: math.nan if value is None else value for name, value in values.pop("values").items()}
        return BenchRow(**values, values=scores)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{show(path)} is no row of a benchmark: delete it, and it is made again") from error
