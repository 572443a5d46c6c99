"""CSV files with a header: columns by name, every row good or with its fault, never a traceback."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vp_jax.errors import UserError
from vp_jax.reading import read_bytes, show

MOST_TABLE = 1 << 30
"""Bytes of the largest table that is read: VPData's has 391,000 rows and 0.3 GB."""


class TableRow(NamedTuple):
    """Cells by column name, "" where the row is short; ``origin`` names the file and line.

    ``fault`` is what is wrong with the row as text, "" if nothing.
    """

    cells: dict[str, str]
    origin: str
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """A CSV file in memory.

    Attributes:
      file: its path.
      header: names of the columns.
      rows: all of them.
    """

    file: Path
    header: list[str]
    rows: list[TableRow]

    def require(self, *columns: str) -> None:
        """Raise `UserError` if a column is missing."""
        missing = [name for name in columns if name not in self.header]
        if missing:
            has = show(", ".join(self.header)) or "none"
            raise UserError(f"{show(self.file)} has no column {', '.join(missing)}; it has {has}")


def read_table(file: Path | str) -> Table:
    """A CSV file in UTF-8, with or without a byte order mark.

    Raises:
      UserError: it cannot be read.
    """
    content = read_bytes(file, MOST_TABLE)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{show(file)}: not UTF-8 but UTF-16; save it as UTF-8")
    # bytes that are not UTF-8 become surrogates, which the row that holds them is judged by
    stream = io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="")
    name, rows = Path(file).name, []
    try:
        reader = csv.reader(stream)
        header = [cell.strip() for cell in next(reader, [])]
        for cells in reader:
            if cells:
                filled = cells + [""] * (len(header) - len(cells))
                foreign = any("\udc80" <= character <= "\udcff" for character in "".join(cells))
                fault = "not UTF-8: save the table as UTF-8" if foreign else ""
                rows.append(TableRow(dict(zip(header, filled)), f"{name}:{reader.line_num}", fault))
    except csv.Error as error:
        raise UserError(f"{show(file)} cannot be read as a CSV: {error}") from error
    return Table(Path(file), header, rows)
