"""A table of jobs, one row one job, and what became of each in a file beside it.

    jobs.csv             video,mask,prompt,out,seed      columns are fields of a job by the names of their flags
    jobs.results.csv     row,status,out,seconds,error,digest

A row that was finished is not run again as long as it says the same; failed rows are tried again. The results are
written after every row, all of them or nothing.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vp_jax.digests import of_json
from vp_jax.errors import UserError, escaped
from vp_jax.files import beside, write_text
from vp_jax.reading import read_bytes, show

DONE, FAILED = "done", "failed"


class JobRow(NamedTuple):
    """A row of a table.

    Attributes:
      number: from 1, the line of column names not counted.
      values: what its cells say, by column; empty cells are left out.
    """

    number: int
    values: Mapping[str, str]


class Outcome(NamedTuple):
    """What became of a row.

    Attributes:
      row: its number.
      status: `DONE` or `FAILED`.
      out: the file that it wrote, or should have.
      seconds: that it took.
      error: in one line, "" where there is none.
      digest: of what the row said and of the settings that held for all rows.
    """

    row: int
    status: str
    out: str
    seconds: float
    error: str
    digest: str


def read_jobs(path: Path, columns: Collection[str]) -> list[JobRow]:
    """The rows of a table.

    Args:
      path: .csv in UTF-8 with a line of column names.
      columns: that are known.

    Raises:
      UserError: another kind of file, no rows, an unknown or repeated column, or a row of another length.
    """
    name = show(path)
    try:
        lines = list(csv.reader(io.StringIO(read_bytes(path).decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{name} is no table ({error}): expected .csv in UTF-8") from error
    if len(lines) < 2:
        raise UserError(
            f"{name}: expected a line of column names, such as video,mask,prompt,out, and a row for each job"
        )
    header, *rows = lines
    header = [column.strip() for column in header]
    for column in header:
        if column not in columns:
            near = difflib.get_close_matches(column, columns, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected among {', '.join(columns)}"
            raise UserError(f"{name}: unknown column {show(repr(column))}: {hint}")
        if header.count(column) > 1:
            raise UserError(f"{name}: column {column} is there twice")
    numbered = [(number, cells) for number, cells in enumerate(rows, 1) if any(cells)]
    for number, cells in numbered:
        if len(cells) != len(header):
            raise UserError(f"{name}: row {number} has {len(cells)} cells, the table {len(header)} columns")
    return [JobRow(number, {c: text for c, text in zip(header, cells) if text}) for number, cells in numbered]


def results_file(table: Path) -> Path:
    """``jobs.csv`` -> ``jobs.results.csv``."""
    return beside(table, ".results.csv")


class Results:
    """The outcomes of a table's rows.

    Args:
      path: of the file; read if it is there.
      fresh: forget what it says.

    Raises:
      UserError: a file of that name that is no such table.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path, self._outcomes = path, dict[int, Outcome]()
        if path.is_symlink():  # the results would replace it
            raise UserError(f"{show(path)} is in the place of the results, and no run wrote it: move it")
        if path.exists():
            self._read(path)
        if fresh:
            self._outcomes = {}

    def _read(self, path: Path) -> None:
        try:
            header, *lines = csv.reader(io.StringIO(read_bytes(path).decode("utf-8"), newline=""))
            if tuple(header) != Outcome._fields:
                raise ValueError
            for row, status, out, seconds, error, digest in lines:
                self._outcomes[int(row)] = Outcome(int(row), status, out, float(seconds), error, digest)
        except (ValueError, csv.Error) as error:
            raise UserError(f"{show(path)} is in the place of the results, and no run wrote it: move it") from error

    def done(self, row: JobRow, digest: str) -> bool:
        """The row was finished as it is, and its result is still there."""
        known = self._outcomes.get(row.number)
        return known is not None and (known.status, known.digest) == (DONE, digest) and os.path.exists(known.out)

    def add(self, outcome: Outcome) -> None:
        """Write an outcome.

        Raises:
          UserError: the file cannot be written.
        """
        self._outcomes[outcome.row] = outcome
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Outcome._fields)
        writer.writerows(self._outcomes[number] for number in sorted(self._outcomes))
        write_text(self.path, text.getvalue())


def check_outs(table: Path, outs: Sequence[tuple[int, Path]]) -> None:
    """Check that no two rows write the same files.

    Raises:
      UserError: two do.
    """
    first: dict[Path, int] = {}
    for number, out in outs:
        place = Path(os.path.abspath(out))
        place = beside(place, "") if place.name else place
        if place in first:
            raise UserError(
                f"{show(table)}: rows {first[place]} and {number} both write {show(out)}, or files named after it"
            )
        first[place] = number


def digest_of(row: JobRow, common: Mapping[str, object]) -> str:
    """Digest of what a row says, and of what holds for all rows."""
    return of_json([dict(row.values), {name: str(value) for name, value in sorted(common.items())}])


def run_rows(
    rows: Sequence[JobRow],
    results: Results,
    digests: Mapping[int, str],
    run: Callable[[JobRow], Path],
    failed: Callable[[Exception], str],
    seconds: Callable[[], float],
) -> Iterator[Outcome]:
    """Run every row that was not finished before; yields what became of each.

    Args:
      rows: of the table.
      results: of an earlier run; outcomes are added.
      digests: of the rows, by their numbers.
      run: runs a row and returns what it wrote.
      failed: reports an exception and returns its line.
      seconds: a clock.
    """
    for row in rows:
        digest = digests[row.number]
        if results.done(row, digest):
            continue
        begin, out, error = seconds(), Path(row.values.get("out", "")), ""
        try:
            out = run(row)
        except Exception as fault:
            error = escaped(failed(fault))
        outcome = Outcome(row.number, FAILED if error else DONE, str(out), round(seconds() - begin, 3), error, digest)
        results.add(outcome)
        yield outcome
