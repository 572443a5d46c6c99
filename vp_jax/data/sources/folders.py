"""Clips from plain folders: videos with masks beside them, and DAVIS as VPBench ships it.

    a folder      name.mp4 or name/ (images); name_mask.mp4, name_mask/, name_mask.png (all frames) or name_mask.npz
                  (arr_0, non-zero = hole); name.txt the caption (optional)
    DAVIS         JPEGImages_432_240/name/, test_masks/name/, davis_caption.csv

Image sequences have no frame rate: theirs is an argument, 8 by default.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vp_jax.data.records import BadRecord, ClipInfo, bad_record
from vp_jax.errors import UserError
from vp_jax.media.masks import MaskFile
from vp_jax.media.video import probe, read_frames

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif")


@dataclass(frozen=True)
class FolderClip:
    """A video file or image folder with its masks, as a `records.Clip`."""

    video: Path
    mask: Path
    caption: str
    fps: float = 8

    @property
    def id(self) -> str:
        return self.video.name

    @property
    def origin(self) -> str:
        return f"{self.video.parent.name}/{self.video.name}"

    def open(self) -> ClipInfo:
        with bad_record():
            info, mask = probe(self.video), MaskFile(self.mask)
        if (mask.height, mask.width) != (info.height, info.width):
            raise BadRecord(f"masks are {mask.width}x{mask.height}, the video is {info.width}x{info.height}")
        if not mask.still and mask.frames < info.frames:
            raise BadRecord(f"{mask.frames} masks for {info.frames} frames")
        if not info.fps:
            raise BadRecord("the video does not state its frame rate")
        return ClipInfo(info.frames, self.fps if self.video.is_dir() else float(info.fps))

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with bad_record():
            frames_FHWC = read_frames(self.video, indices_F)
            masks_FHW = MaskFile(self.mask).holes(indices_F, threads=1).view(np.uint8)
        if masks_FHW.shape[1:] != frames_FHWC.shape[1:3]:
            raise BadRecord(f"masks are {masks_FHW.shape[1:]}, frames {frames_FHWC.shape[1:3]}")
        if not masks_FHW.any():
            raise BadRecord(f"the mask is empty in frames {indices_F[0]} to {indices_F[-1]}")
        return frames_FHWC, masks_FHW


def video_folder(folder: Path | str, fps: float = 8) -> Sequence[FolderClip]:
    """Every video of a folder that has a mask beside it. Raises `UserError` if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one that holds name.mp4 and name_mask.mp4 (or .npz, .png, /)")
    clips = []
    for video in sorted(folder.iterdir()):
        if video.stem.endswith("_mask") or not (video.is_dir() or video.suffix.lower() in VIDEOS):
            continue
        name = video.name if video.is_dir() else video.stem
        masks = [folder / f"{name}_mask{suffix}" for suffix in ("", ".npz", ".png", *VIDEOS)]
        mask = next((path for path in masks if path.exists()), None)
        if mask:
            text = folder / f"{name}.txt"
            clips.append(FolderClip(video, mask, text.read_text().strip() if text.exists() else "", fps))
    if not clips:
        raise UserError(f"{folder} has no video with a mask beside it, such as name.mp4 and name_mask.mp4")
    return clips


def davis(folder: Path | str, fps: float = 8) -> Sequence[FolderClip]:
    """DAVIS at 432 x 240 in VPBench's layout, captions by sorted position. Raises `UserError` for a missing part."""
    folder = Path(folder)
    masks_root, table = folder / "test_masks", folder / "davis_caption.csv"
    if not masks_root.is_dir() or not (folder / "JPEGImages_432_240").is_dir():
        raise UserError(f"{folder} needs the folders JPEGImages_432_240 and test_masks")
    captions: dict[int, str] = {}
    if table.exists():
        with open(table, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if not {"Video_Index", "Video_Caption"} <= set(reader.fieldnames or ()):
                raise UserError(f"{table} needs the columns Video_Index and Video_Caption, has {reader.fieldnames}")
            captions = {int(row["Video_Index"]): row["Video_Caption"] for row in reader}
    names = sorted(path.name for path in masks_root.iterdir() if path.is_dir())
    if not names:
        raise UserError(f"{masks_root} has no folders of masks")
    return [
        FolderClip(folder / "JPEGImages_432_240" / name, masks_root / name, captions.get(number, ""), fps)
        for number, name in enumerate(names, start=1)
    ]
