"""VPBench and DAVIS as they were published: where their files are, and which frames the paper's evaluation uses.

    <data>/our_video_inpaint.csv, our_video_inpaint_long.csv, our_video_edit.csv, our_video_edit_long.csv
    <data>/{videovo,pexels}/...                    videos and masks in the layout of `vp_jax.data.sources.vpdata`
    <data>/davis/JPEGImages_432_240/<name>/        frames
    <data>/davis/test_masks/<name>/                the published random masks
    <data>/davis/davis_caption.csv                 Video_Index, Video_Caption, Masked_Target_Caption

Frames are thinned by floor(fps / 8), as in the paper; standard clips are cut to 49 frames; everything is scored at
480 x 720. Rows are used by their number: two masks of one video are two clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vp_jax.data.records import BadRecord
from vp_jax.data.sources.tables import read_table
from vp_jax.data.sources.vpdata import Layout, Row, read_rows
from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.vpbench.clips import EDIT_TASK, FILL_TASK, REMOVE_TASK, BenchClip, BenchInputs, ClipFiles

PAPER_SIZE, PAPER_FRAMES, PAPER_FPS = (480, 720), 49, 8

VPBENCH_TABLES = {
    "vpbench-s": ("our_video_inpaint.csv", PAPER_FRAMES, "image_inpainting_prompt"),
    "vpbench-l": ("our_video_inpaint_long.csv", None, "image_inpainting_prompt"),
    "vpbench-edit": ("our_video_edit.csv", PAPER_FRAMES, "Edited_image_caption"),
    "vpbench-edit-l": ("our_video_edit_long.csv", None, "Edited_image_caption"),
}
"""Name: its table, most frames of a clip, and the column that describes the hole."""


def vpbench_clips(name: str, data: Path, size: tuple[int, int] | None = PAPER_SIZE) -> list[BenchClip]:
    """The rows of a table of VPBench.

    Args:
      name: a key of `VPBENCH_TABLES`.
      data: the downloaded folder.
      size: at which clips are scored; None: of the source.

    Raises:
      UserError: no such table, or it lacks a column.
    """
    file, most, target = VPBENCH_TABLES[name]
    if not (data / file).is_file():
        raise UserError(f"{show(data)} has no {file}: expected the folder of VPBench with its tables")
    table, layout = read_table(data / file), Layout.under(data)
    table.require(target)
    edits = "edit" in name
    rows = read_rows(table)
    return [
        _vpbench(row, cells.cells[target].strip(), number, layout, most, size, edits, cells.cells)
        for number, (row, cells) in enumerate(zip(rows, table.rows))
    ]


def _vpbench(
    row: Row,
    target: str,
    number: int,
    layout: Layout,
    most: int | None,
    size: tuple[int, int] | None,
    edits: bool,
    cells: dict[str, str],
) -> BenchClip:
    name, fault = f"{number:03d}_{row.path.removesuffix('.mp4')}_{row.mask_id}", row.fault
    files = None
    try:
        video, mask = layout.files(row.path)
        step = max(1, int((row.fps or PAPER_FPS) // PAPER_FPS))
        files = ClipFiles(
            video, mask, mask_id=row.mask_id, start=row.start_frame, stop=row.end_frame, step=step, most=most,
            size=size, source_is_truth=not edits,
        )  # fmt: skip
    except BadRecord as error:
        fault = fault or str(error)
    instruction = cells.get("Editing_instruction", "")
    task = FILL_TASK if not edits else REMOVE_TASK if _removes(instruction) else EDIT_TASK
    group = task if edits else "all"
    source = files or _nothing
    return BenchClip(name, source, row.caption, target, group, task, files.facts if files else {}, fault)


def davis_clips(data: Path, size: tuple[int, int] | None = PAPER_SIZE) -> list[BenchClip]:
    """DAVIS with the published random masks.

    Args:
      data: a folder that holds ``davis/``, or that folder.
      size: at which clips are scored; None: of the frames.

    Raises:
      UserError: a missing folder or table.
    """
    data = data / "davis" if (data / "davis").is_dir() else data
    videos, masks, captions = data / "JPEGImages_432_240", data / "test_masks", data / "davis_caption.csv"
    for part in (videos, masks):
        if not part.is_dir():
            raise UserError(f"{show(data)} needs the folders JPEGImages_432_240 and test_masks")
    table = read_table(captions)
    table.require("Video_Index", "Video_Caption", "Masked_Target_Caption")
    texts = {row.cells["Video_Index"].strip(): row for row in table.rows}
    names = sorted(path.name for path in masks.iterdir() if path.is_dir())
    if not names:
        raise UserError(f"{show(masks)} has no folders of masks")
    clips = []
    for number, name in enumerate(names, 1):
        row, fault = texts.get(str(number)), ""
        if row is None or row.fault or not row.cells["Video_Caption"].strip():
            fault = row.fault if row and row.fault else f"davis_caption.csv has no caption of video {number}"
        cells = row.cells if row else {}
        files = ClipFiles(videos / name, masks / name, size=size, davis=size is not None)
        prompt, target = cells.get("Video_Caption", "").strip(), cells.get("Masked_Target_Caption", "").strip()
        clips.append(BenchClip(name, files, prompt, target, "all", FILL_TASK, files.facts, fault))
    return clips


def _removes(instruction: str) -> bool:
    words: Sequence[str] = instruction.lower().split()
    return bool(words) and words[0] in ("remove", "delete", "erase")


def _nothing() -> BenchInputs:
    raise UserError("this row names no files")
