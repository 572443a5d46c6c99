"""VPData and VPBench in their official layout: a CSV, videos, and one label map per video.

    <data>/videovo/raw_video/<9 digits>/<12 digits>.0.mp4
    <data>/pexels/pexels/raw_video/<9 digits>/<12 digits>_<id>.mp4
    <data>/video_inpainting/{videovo,pexels}/<name>/all_masks.npz        arr_0: integer labels (T, H, W)

A CSV row names a video, a half-open range of its frames, one label and a caption. The hole is ``arr_0 == mask_id``.
Columns are read by name, so other columns and any order are harmless. One record per row: two objects of one video are
two records.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vp_jax.data.records import BadRecord, ClipInfo, bad_record
from vp_jax.data.sources.scan import ScanReport
from vp_jax.data.sources.tables import Table, TableRow, read_table
from vp_jax.errors import UserError
from vp_jax.media.labels import LabelMap
from vp_jax.media.video import probe, read_frames
from vp_jax.reading import show

COLUMNS = ("path", "mask_id", "start_frame", "end_frame", "fps")
CAPTIONS = ("caption", "video_inpainting_prompt", "Edited_video_caption")
"""A row's caption stands in the first of these columns that the file has (VPData, VPBench inpainting, editing)."""


@dataclass(frozen=True)
class Layout:
    """Where the three kinds of files are; `under` gives the official places below one folder."""

    videovo_root: Path
    pexels_root: Path
    mask_root: Path

    @classmethod
    def under(cls, data: Path | str) -> Layout:
        """The layout of a downloaded VPData folder."""
        data = Path(data)
        return cls(data / "videovo/raw_video", data / "pexels/pexels/raw_video", data / "video_inpainting")

    def files(self, path: str) -> tuple[Path, Path]:
        """Video and mask file of a row's ``path`` (a bare file name). Raises `BadRecord` for any other form."""
        base = path.split(".")[0]
        if not base or "/" in path or "\\" in path:
            raise BadRecord(f"path {path!r} is not a file name such as 000000123456.0.mp4")
        if ".0.mp4" in path:
            return self.videovo_root / base[:-3] / f"{base}.0.mp4", self.mask_root / "videovo" / base / "all_masks.npz"
        if ".mp4" in path:
            return self.pexels_root / base[:9] / f"{base}.mp4", self.mask_root / "pexels" / base / "all_masks.npz"
        raise BadRecord(f"path {path!r} is neither *.0.mp4 (videovo) nor *.mp4 (pexels)")


@dataclass(frozen=True)
class Row:
    """One CSV row. ``fault`` is what is wrong with it, "" if nothing."""

    path: str
    mask_id: int
    start_frame: int
    end_frame: int
    fps: float
    caption: str
    origin: str
    fault: str = ""


def _row(table: TableRow, caption_column: str) -> Row:
    """Cells to a `Row`; the first fault found is kept with the row instead of raised."""
    cells, origin = table.cells, table.origin
    path, caption = cells["path"], cells[caption_column].strip()
    try:
        numbers = {name: float(cells[name]) for name in COLUMNS[1:]}
    except ValueError:
        return Row(path, 0, 0, 0, 0.0, "", origin, f"not four numbers: { {name: cells[name] for name in COLUMNS[1:]} }")
    start, end, fps = numbers["start_frame"], numbers["end_frame"], numbers["fps"]
    if not all(math.isfinite(x) for x in numbers.values()):
        return Row(path, 0, 0, 0, 0.0, caption, origin, f"not finite: {numbers}")
    fault = table.fault
    if not path:
        fault = "path is empty"
    elif not caption:
        fault = f"{caption_column} is empty"
    elif fps < 0:
        fault = f"fps is {fps:g}, expected a positive rate or 0 for the file's own"
    elif not 0 <= start < end:
        fault = f"frames [{start:g}:{end:g}) are not a range"
    elif any(numbers[name] % 1 for name in ("mask_id", "start_frame", "end_frame")):
        fault = f"mask_id, start_frame and end_frame must be integers: {numbers}"
    return Row(path, int(numbers["mask_id"]), int(start), int(end), fps, caption, origin, fault)


def read_rows(file: Path | str | Table) -> list[Row]:
    """All rows of a CSV, bad ones included with their ``fault``. Raises `UserError` if a column is missing."""
    table = file if isinstance(file, Table) else read_table(file)
    caption = next((name for name in CAPTIONS if name in table.header), CAPTIONS[0])
    table.require(*COLUMNS, caption)
    return [_row(row, caption) for row in table.rows]


def select(rows: list[Row], frames: int = 49, fps: float = 8, min_caption: int = 50) -> list[Row]:
    """The published filter: captions longer than ``min_caption`` characters, at least ``frames`` frames at ``fps``.

    Rows with a fault stay, so that the loader can name them.
    """
    return [row for row in rows if row.fault or not _filtered(row, frames, fps, min_caption)]


def _filtered(row: Row, frames: int, fps: float, min_caption: int) -> str:
    """Why the published filter leaves a row out, "" if it stays."""
    if len(row.caption) <= min_caption:
        return f"with a caption of at most {min_caption} characters"
    kept = (row.end_frame - row.start_frame) // max(1, int(row.fps // fps))
    return "" if kept >= frames else f"of fewer than {frames} frames at {fps:g} fps"


@dataclass(frozen=True)
class VPDataClip:
    """One row of the official layout as a `records.Clip`; frame 0 is the row's ``start_frame``."""

    row: Row
    layout: Layout

    @property
    def id(self) -> str:
        """Name of the clip, unique in its source."""
        row = self.row
        return f"{row.path}#{row.mask_id}[{row.start_frame}:{row.end_frame}]@{row.origin}"

    @property
    def origin(self) -> str:
        """The table that it comes from."""
        return self.row.origin

    @property
    def caption(self) -> str:
        """Text of the clip."""
        return self.row.caption

    def open(self) -> ClipInfo:
        """Length and rate, from the headers of video and mask. Raises `BadRecord`."""
        row = self.row
        if row.fault:
            raise BadRecord(row.fault)
        video, mask = self.layout.files(row.path)
        with bad_record():
            info, labels = probe(video), LabelMap(mask)
        if labels.shape[1:] != (info.height, info.width):
            raise BadRecord(f"masks are {labels.shape[1:]}, the video is {(info.height, info.width)}")
        # one range cuts video and masks alike, and a slice past the end of either is just shorter
        frames = min(row.end_frame, info.frames, labels.shape[0]) - row.start_frame
        if frames <= 0:
            raise BadRecord(
                f"start_frame {row.start_frame} is past the end: {info.frames} frames, {labels.shape[0]} masks"
            )
        if not (fps := row.fps or float(info.fps)):
            raise BadRecord("fps is 0 and the file does not state its own")
        return ClipInfo(frames, fps)

    def read_masks(self, indices_F: np.ndarray) -> np.ndarray:
        """Masks alone, FHW uint8. Raises `BadRecord` if the object is in none of the frames."""
        at_F, label = np.asarray(indices_F) + self.row.start_frame, self.row.mask_id
        with bad_record():
            labels = LabelMap(self.layout.files(self.row.path)[1])
            masks_FHW = labels.where(at_F, lambda labels_HW: labels_HW == label).view(np.uint8)
        if not masks_FHW.any():
            raise BadRecord(f"mask_id {label} is not in frames {at_F[0]} to {at_F[-1]}")
        return masks_FHW

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 FHWC and masks uint8 FHW of these frame numbers. Raises `BadRecord`."""
        masks_FHW = self.read_masks(indices_F)
        with bad_record():
            video, _ = self.layout.files(self.row.path)
            return read_frames(video, np.asarray(indices_F) + self.row.start_frame), masks_FHW


@dataclass(frozen=True)
class VPData:
    """A source over CSV rows: no build step, random access."""

    layout: Layout
    rows: list[Row] = field(repr=False)
    report: ScanReport | None = None
    """What of the file is used; rows with a fault are named when they are drawn."""

    @classmethod
    def from_csv(
        cls, file: Path | str | Table, layout: Layout, *, frames: int = 49, fps: float = 8, min_caption: int = 50
    ) -> VPData:
        """Rows of ``file`` that pass `select`, faulty ones among them. Raises `UserError` if there is none."""
        table = file if isinstance(file, Table) else read_table(file)
        rows = read_rows(table)
        counts = Counter(
            ("with a fault" if row.fault else _filtered(row, frames, fps, min_caption) or "used") for row in rows
        )
        parts = [f"{counts.pop('used', 0)} used", *(f"{count} {kind}" for kind, count in counts.items())]
        summary = f"{len(rows)} row{'s' * (len(rows) != 1)}: {', '.join(parts)}"
        kept = select(rows, frames, fps, min_caption)
        if all(row.fault for row in kept):
            first = f"; the first: {kept[0].fault}" if kept else ""
            raise UserError(f"{show(table.file)}: no usable row passes the filters, {summary}{first}")
        return cls(layout, kept, ScanReport(str(table.file), summary))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> VPDataClip:
        return VPDataClip(self.rows[index], self.layout)
