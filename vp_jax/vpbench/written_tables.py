"""Tables as files: CSV and JSON for programs, Markdown and LaTeX for people, beside the paper's numbers."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vp_jax.errors import escaped
from vp_jax.eval.bootstrap import Interval
from vp_jax.eval.scores import SCORES
from vp_jax.files import write_text
from vp_jax.vpbench.paper import (
    OURS_OF_PAPER,
    PAPER_CAVEAT,
    PAPER_COLUMNS,
    PAPER_SCALES,
    PAPER_TABLES,
    PaperTable,
    paper_method,
)
from vp_jax.vpbench.results_table import GroupTable, MethodRow
from vp_jax.vpbench.rows import UNUSABLE, BenchRow

TABLE_FILES = (*(f"table.{end}" for end in ("csv", "json", "md", "tex")), "rows.csv")


def write_tables(
    folder: Path, tables: Sequence[GroupTable], rows: Sequence[BenchRow], description: Mapping[str, Any]
) -> list[Path]:
    """Write every form of the tables, and the rows behind them.

    Returns:
      The files.

    Raises:
      UserError: they cannot be written.
    """
    paper = PAPER_TABLES.get(description["settings"].get("benchmark", ""))
    texts = {
        "csv": csv_table(tables),
        "json": json.dumps(json_tables(tables, paper), indent=1) + "\n",
        "md": markdown(tables, rows, description, paper),
        "tex": latex(tables[0], paper),
        "rows": csv_rows(rows, tables[0].scores),
    }
    for name, text in zip(TABLE_FILES, texts.values(), strict=True):
        write_text(folder / name, text)
    return [folder / name for name in TABLE_FILES]


def csv_table(tables: Sequence[GroupTable]) -> str:
    """One line for each group, method and score."""
    header = "group method score better mean low high clips difference difference_low difference_high base rank failed"
    lines: list[Sequence[object]] = [header.split()]
    for table in tables:
        for row in table.rows:
            for name in table.scores:
                value, gap = row.values[name], row.gaps.get(name, _NONE)
                numbers = [_plain(x) for x in (value.mean, value.low, value.high)]
                gaps = [_plain(x) for x in (gap.mean, gap.low, gap.high)]
                head = (table.group, row.method, name, SCORES[name].better)
                lines.append((*head, *numbers, value.clips, *gaps, table.base, _plain(row.rank), row.failed))
    return _csv(lines)


def csv_rows(rows: Sequence[BenchRow], scores: Sequence[str]) -> str:
    """One line for each clip, method and seed. Scores of a set have no value here."""
    lines: list[Sequence[object]] = [("clip", "group", "method", "seed", "state", *scores, "error", "note")]
    for row in rows:
        values = [row.values.get(name, math.nan) for name in scores]
        cells = ["" if isinstance(value, list) else _plain(value) for value in values]
        lines.append((row.clip, row.group, row.method, row.seed, row.state, *cells, row.error, row.note))
    return _csv(lines)


def json_tables(tables: Sequence[GroupTable], paper: PaperTable | None) -> dict[str, Any]:
    """Everything in the tables, NaN as null."""
    return {
        "groups": [
            {
                "group": table.group,
                "clips": table.clips,
                "base": table.base,
                "methods": {
                    row.method: {
                        "rank": _null(row.rank),
                        "clips": row.clips,
                        "failed": row.failed,
                        "seeds": row.seeds,
                        "scores": {name: _interval(value) for name, value in row.values.items()},
                        "differences": {name: _interval(value) for name, value in row.gaps.items()},
                    }
                    for row in table.rows
                },
            }
            for table in tables
        ],
        "paper": {"table": paper.number, "columns": PAPER_COLUMNS, "rows": paper.rows} if paper else None,
    }


def markdown(
    tables: Sequence[GroupTable], rows: Sequence[BenchRow], description: Mapping[str, Any], paper: PaperTable | None
) -> str:
    """Tables for people."""
    name = description["settings"].get("benchmark", "benchmark")
    parts = [f"# {name}", "Means over clips with 95 % bootstrap intervals over clips and seeds; best in bold."]
    for table in tables:
        parts.append(f"## {escaped(table.group)}: {table.clips} clips")
        parts.append(_markdown_table(table))
        if gaps := _markdown_gaps(table):
            parts.append(f"Differences from {table.base}, clip by clip; bold where the interval leaves out 0:")
            parts.append(gaps)
    notes = {SCORES[n].footnote: n for n in tables[0].scores if SCORES[n].footnote}
    parts += [f"* `{score}`: {note}" for note, score in notes.items()]
    if paper:
        parts += [f"## The paper, table {paper.number}: {paper.title}", _paper_table(tables[0], paper), PAPER_CAVEAT]
    failed = [row for row in rows if row.state == UNUSABLE]
    if failed:
        lines = "\n".join(f"* {_cell(row.clip)}, {row.method}, seed {row.seed}: {_cell(row.error)}" for row in failed)
        parts += [f"## {len(failed)} failures", lines]
    return "\n\n".join(parts) + "\n"


def latex(table: GroupTable, paper: PaperTable | None) -> str:
    """The table of all clips for a paper, with booktabs."""
    arrows = [r"$\uparrow$" if SCORES[name].better == "higher" else r"$\downarrow$" for name in table.scores]
    heads = " & ".join(f"{_tex(name)} {arrow}" for name, arrow in zip(table.scores, arrows))
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(table.scores)}r}}",
        r"\toprule",
        rf"Method & {heads} & Rank \\",
        r"\midrule",
    ]
    for row in table.rows:
        cells = []
        for name in table.scores:
            value = row.values[name]
            text = number_text(value.mean)
            text = rf"\textbf{{{text}}}" if row.method in table.best(name) else text
            half = (value.high - value.low) / 2
            cells.append(text if math.isnan(half) else rf"{text} {{\tiny $\pm$ {number_text(half)}}}")
        lines.append(rf"{_tex(row.method)} & {' & '.join(cells)} & {number_text(row.rank)} \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if paper:
        columns = " & ".join(_tex(column) for column in PAPER_COLUMNS)
        lines += ["", f"% The paper, table {paper.number}: {paper.title}. {PAPER_CAVEAT}"]
        lines += [
            rf"\begin{{tabular}}{{l{'r' * len(PAPER_COLUMNS)}}}",
            r"\toprule",
            rf"Method & {columns} \\",
            r"\midrule",
        ]
        lines += [rf"{_tex(name)} & {' & '.join(f'{v:.2f}' for v in values)} \\" for name, values in paper.rows.items()]
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def number_text(value: float) -> str:
    """Four significant digits at most; a dash for NaN."""
    if math.isnan(value):
        return "-"
    size = abs(value)
    return f"{value:.4f}" if size < 0.1 else f"{value:.3f}" if size < 10 else f"{value:.2f}"


def interval_text(value: Interval) -> str:
    """``20.05 [18.92, 21.3]``."""
    if math.isnan(value.low):
        return number_text(value.mean)
    return f"{number_text(value.mean)} [{number_text(value.low)}, {number_text(value.high)}]"


def _markdown_table(table: GroupTable) -> str:
    heads = [f"{name} {'↑' if SCORES[name].better == 'higher' else '↓'}" for name in table.scores]
    lines = [("method", *heads, "rank", "clips", "failed")]
    for row in table.rows:
        cells = []
        for name in table.scores:
            text = interval_text(row.values[name])
            cells.append(f"**{text}**" if row.method in table.best(name) else text)
        lines.append((row.method, *cells, number_text(row.rank), str(row.clips), str(row.failed)))
    return _markdown_rows(lines)


def _markdown_gaps(table: GroupTable) -> str:
    rows = [row for row in table.rows if row.gaps]
    if not rows:
        return ""
    lines: list[tuple[str, ...]] = [("method", *table.scores)]
    for row in rows:
        lines.append((row.method, *(_gap(row, name) for name in table.scores)))
    return _markdown_rows(lines)


def _gap(row: MethodRow, name: str) -> str:
    gap = row.gaps[name]
    text = "-" if math.isnan(gap.mean) else interval_text(gap)
    return f"**{text}**" if gap.low > 0 or gap.high < 0 else text


def _paper_table(table: GroupTable, paper: PaperTable) -> str:
    """The paper's rows, and under them our rows of the scores that their columns name."""
    lines: list[tuple[str, ...]] = [("method", *PAPER_COLUMNS)]
    lines += [(f"{name} (paper)", *(f"{value:.2f}" for value in values)) for name, values in paper.rows.items()]
    for row in table.rows:
        cells = []
        for column in PAPER_COLUMNS:
            value = row.values.get(OURS_OF_PAPER[column])
            cells.append("-" if value is None else number_text(value.mean * PAPER_SCALES.get(column, 1.0)))
        theirs = paper_method(row.method, paper)
        lines.append((f"{row.method} (here{'' if theirs is None else f', {theirs}'})", *cells))
    return _markdown_rows(lines)


def _markdown_rows(lines: Sequence[Sequence[str]]) -> str:
    rule = "|".join(["---"] * len(lines[0]))
    shown = [" | ".join(_cell(cell) for cell in line) for line in lines]
    return "\n".join([f"| {shown[0]} |", f"|{rule}|", *(f"| {line} |" for line in shown[1:])])


def _cell(text: str) -> str:
    return escaped(text).replace("|", "\\|").replace("<", "&lt;")


def _tex(text: str) -> str:
    return "".join(f"\\{c}" if c in "_%&#$" else c for c in text)


_NONE = Interval(math.nan, math.nan, math.nan, 0)


def _interval(value: Interval) -> dict[str, float | int | None]:
    return {"mean": _null(value.mean), "low": _null(value.low), "high": _null(value.high), "clips": value.clips}


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _csv(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
