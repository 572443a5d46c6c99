"""Any table as a benchmark: one row one clip, and optionally the result of one method.

    source,mask,result,caption,truth,name,group,task,mask_id
    a.mp4,a_mask.mp4,out/a.mp4,"a red car on a road",,,,,

``source`` and ``mask`` are needed, the rest is optional. Paths are relative to the table. Without a truth, the source
is the truth of a row whose task is "fill"; of removals and edits the hole is then unknown, and what lies outside is
scored.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from vp_jax.data.sources.tables import TableRow, read_table
from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.vpbench.clips import EDIT_TASK, FILL_TASK, REMOVE_TASK, BenchClip, ClipFiles

LISTED_COLUMNS = ("source", "mask", "result", "caption", "truth", "name", "group", "task", "mask_id", "target")
LISTED_TASKS = (FILL_TASK, REMOVE_TASK, EDIT_TASK)


class Listed(NamedTuple):
    """Clips of a table, and results by the name of their clip."""

    clips: list[BenchClip]
    results: dict[str, Path]


def listed_clips(file: Path, size: tuple[int, int] | None = None) -> Listed:
    """The rows of a table.

    Args:
      file: .csv with a line of column names.
      size: height and width at which clips are scored; None: of each source.

    Raises:
      UserError: unreadable, an unknown or missing column, no rows, or two rows of one name.
    """
    table = read_table(file)
    table.require("source", "mask")
    unknown = [column for column in table.header if column not in LISTED_COLUMNS]
    if unknown:
        raise UserError(f"{show(file)}: unknown column {unknown[0]}, expected among {', '.join(LISTED_COLUMNS)}")
    if not table.rows:
        raise UserError(f"{show(file)} has no rows")
    clips, results = list[BenchClip](), dict[str, Path]()
    for row in table.rows:
        clip = _clip(row, file.parent, size)
        if clip.name in {other.name for other in clips}:
            raise UserError(f"{row.origin}: clip {show(clip.name)} is there twice, give each its own name")
        clips.append(clip)
        if result := row.cells.get("result", ""):
            results[clip.name] = file.parent / result
    return Listed(clips, results)


def _clip(row: TableRow, place: Path, size: tuple[int, int] | None) -> BenchClip:
    cells, fault = row.cells, row.fault
    task, label = cells.get("task", "") or FILL_TASK, cells.get("mask_id", "")
    if task not in LISTED_TASKS:
        fault, task = fault or f"task {show(task)}: expected {', '.join(LISTED_TASKS)}", FILL_TASK
    if label and not label.isdigit():
        fault, label = fault or f"mask_id {show(label)}: expected a number", ""
    for column in ("source", "mask"):
        if not cells[column]:
            fault = fault or f"{column} is empty"
    files = ClipFiles(
        place / cells["source"],
        place / cells["mask"],
        place / cells["truth"] if cells.get("truth") else None,
        mask_id=int(label) if label else None,
        size=size,
        source_is_truth=task == FILL_TASK,
    )
    name = cells.get("name", "") or Path(cells["source"]).stem or row.origin
    group = cells.get("group", "") or "all"
    return BenchClip(name, files, cells.get("caption", ""), cells.get("target", ""), group, task, files.facts, fault)
