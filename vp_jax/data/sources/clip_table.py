"""Clips from a CSV of files: ``video,mask,caption[,mask_id,start,stop]``, as an alternative to VPData's own tables.

    video         mask             caption              mask_id  start  stop
    dog.mp4       dog_mask.png     a dog on a lawn
    a/cat.mov     /data/cat.npz    a cat asleep         3        24     180

Paths are relative to a folder, or absolute. ``mask_id`` chooses a label, ``start`` and ``stop`` frames [start, stop) of
video and mask; left empty they mean the only label and the complete video. Other columns and any order are harmless.
"""

from __future__ import annotations

from pathlib import Path

from vp_jax.data.sources.file_clip import FileClip
from vp_jax.data.sources.scan import Finding, Scan, Unusable, check_clips, first_reasons
from vp_jax.data.sources.tables import Table, TableRow, read_table
from vp_jax.data.sources.vpdata import COLUMNS as VPDATA_COLUMNS
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError
from vp_jax.reading import show

CLIP_COLUMNS = ("video", "mask", "caption")


def open_csv(
    file: Path | str, folder: Path | str = "", *, frames: int = 49, fps: float = 8, min_caption: int = 50
) -> VPData | Scan[FileClip]:
    """The clips of a CSV: of VPData if it has its columns, else of a table of files.

    Args:
      file: a CSV in UTF-8.
      folder: what paths are relative to, VPData's layout among them; by default the folder of the file.
      frames: of a window, which clips must hold.
      fps: of a window.
      min_caption: characters that a caption of VPData must exceed.

    Raises:
      UserError: it cannot be read, has neither kind of columns, or no row can be used.
    """
    table, folder = read_table(file), Path(folder or Path(file).parent)
    header = table.header
    if set(CLIP_COLUMNS) <= set(header):
        return clip_table(table, folder, frames=frames, fps=fps)
    if not set(VPDATA_COLUMNS) & set(header):
        raise UserError(
            f"{show(file)}: expected the columns {', '.join(CLIP_COLUMNS)} (also mask_id, start, stop), or those "
            f"of VPData, {', '.join(VPDATA_COLUMNS)} and a caption; it has {show(', '.join(header)) or 'none'}"
        )
    return VPData.from_csv(table, Layout.under(folder), frames=frames, fps=fps, min_caption=min_caption)


def clip_table(table: Table, folder: Path | str, *, frames: int = 1, fps: float = 8) -> Scan[FileClip]:
    """The clips of a table of files, see the module.

    Args:
      table: its rows.
      folder: what relative paths are relative to.
      frames: of a window, which clips must hold.
      fps: of a window.

    Raises:
      UserError: a column is missing, or no row can be used.
    """
    table.require(*CLIP_COLUMNS)
    clips, findings = [], []
    for row in table.rows:
        try:
            clips.append(_clip(row, Path(folder), fps))
        except Unusable as error:
            findings.append(Finding(row.cells["video"] or row.origin, row.origin, str(error), error.kind))
    used, faults = check_clips(clips, lambda clip: clip.check(frames, fps))
    scan = Scan(used, (*findings, *faults), str(table.file), "rows")
    if not len(scan):
        raise UserError(f"{show(table.file)}: no row can be used, {scan.summary}: {first_reasons(scan.findings)}")
    return scan


def _clip(row: TableRow, folder: Path, fps: float) -> FileClip:
    if row.fault:
        raise Unusable("row not readable", row.fault)
    for name in ("video", "mask", "caption"):
        if not row.cells[name].strip():
            raise Unusable(f"without {name}", f"{name} is empty")
    numbers: dict[str, int | None] = {}
    for name in ("mask_id", "start", "stop"):
        text = row.cells.get(name, "").strip()
        try:
            numbers[name] = int(float(text)) if text else None
        except (ValueError, OverflowError) as error:
            raise Unusable("row not readable", f"{name} is {text[:40]!r}, expected an integer") from error
        if text and (float(text) % 1 or (name != "mask_id" and float(text) < 0)):
            raise Unusable("row not readable", f"{name} is {text[:40]}, expected an integer of 0 or more")
    start, stop = numbers["start"] or 0, numbers["stop"]
    if stop is not None and stop <= start:
        raise Unusable("row not readable", f"frames [{start}:{stop}) are not a range")
    video, mask = (folder / row.cells[name].strip() for name in ("video", "mask"))
    return FileClip(video, mask, row.cells["caption"].strip(), fps, numbers["mask_id"], start, stop, row.origin)
