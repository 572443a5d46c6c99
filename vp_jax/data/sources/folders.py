"""Clips from plain folders: videos with their masks in the same folder, and DAVIS in the layout of VPBench.

    a folder      name.mp4, or any other video, or name/ (images)
                  name_mask.png (one image for all frames), name_mask.mp4, name_mask.npz, name_mask/ (images) ...
                  name.txt, the caption; an empty file trains without one
    DAVIS         JPEGImages_432_240/name/, test_masks/name/, davis_caption.csv

Masks and videos may be of any kind that `vp_jax.media` reads, suffixes in any case. A folder is
scanned first, and everything that cannot be used is named (`vp_jax.data.sources.scan`). Images have no frame rate:
theirs is an argument, 8 by default.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from vp_jax.data.sources.file_clip import FileClip
from vp_jax.data.sources.scan import Finding, Scan, check_clips, first_reasons
from vp_jax.data.sources.tables import read_table
from vp_jax.errors import UserError
from vp_jax.media.images import IMAGE_SUFFIXES
from vp_jax.media.inputs import list_folder, read_text
from vp_jax.reading import show

VIDEO_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .qt .mkv .webm .avi .gif .ts .m2ts .mts .mpg .mpeg .m2v .wmv .flv .f4v .3gp .ogv .mxf .ivf".split()
)
MASK = "_mask"


def video_folder(folder: Path | str, fps: float = 8, frames: int = 1, *, needs_masks: bool = True) -> Scan[FileClip]:
    """The videos of a folder that have a mask and a caption in the same folder.

    Args:
      folder: videos, or folders of images, with their masks and captions.
      fps: rate of the windows that clips must hold, and of folders of images.
      frames: of a window.
      needs_masks: leave out videos without a mask; otherwise they have no hole.

    Raises:
      UserError: not a folder, or nothing in it can be used, with the reasons.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise UserError(f"{show(folder)} is not a folder; give one that holds name.mp4, name_mask.mp4 and name.txt")
    entries = _Entries.of(folder)
    clips, findings = [], []
    for video in entries.videos:
        name = _name(video)
        found = entries.clip(video, name, fps, needs_masks=needs_masks)
        if isinstance(found, FileClip):
            clips.append(found)
        else:
            findings.append(found)
    used, faults = check_clips(clips, lambda clip: clip.check(frames, fps))
    return _usable(Scan(used, (*findings, *faults), str(folder), "videos", entries.strays()))


def davis(folder: Path | str, fps: float = 8, frames: int = 1) -> Scan[FileClip]:
    """DAVIS at 432 x 240 in VPBench's layout, captions by sorted position.

    Args:
      folder: the folder of the benchmark.
      fps: see `video_folder`.
      frames: see `video_folder`.

    Raises:
      UserError: a missing part, or nothing can be used.
    """
    folder = Path(folder)
    masks_root, table = folder / "test_masks", folder / "davis_caption.csv"
    if not masks_root.is_dir() or not (folder / "JPEGImages_432_240").is_dir():
        raise UserError(f"{show(folder)} needs the folders JPEGImages_432_240 and test_masks")
    captions: dict[str, str] = {}
    if table.exists():
        rows = read_table(table)
        rows.require("Video_Index", "Video_Caption")
        captions = {row.cells["Video_Index"].strip(): row.cells["Video_Caption"] for row in rows.rows if not row.fault}
    names = sorted(path.name for path in masks_root.iterdir() if path.is_dir())
    if not names:
        raise UserError(f"{show(masks_root)} has no folders of masks")
    clips, findings = [], []
    for number, name in enumerate(names, start=1):
        video, caption = folder / "JPEGImages_432_240" / name, captions.get(str(number), "").strip()
        if caption:
            clips.append(FileClip(video, masks_root / name, caption, fps))
        else:
            reason = f"{table.name} has no caption of video {number}"
            findings.append(Finding(name, f"{folder.name}/{name}", reason, "without caption"))
    used, faults = check_clips(clips, lambda clip: clip.check(frames, fps))
    return _usable(Scan(used, (*findings, *faults), str(folder), "videos"))


def _usable(scan: Scan[FileClip]) -> Scan[FileClip]:
    if not len(scan):
        named = first_reasons(scan.findings) or "it has no video, expected name.mp4, name_mask.mp4 and name.txt"
        raise UserError(f"{show(scan.place)}: no clip can be used, {scan.summary}: {named}")
    return scan


@dataclass
class _Entries:
    """What lies in a folder, by the part that it plays: masks and captions by the name of their video."""

    folder: Path
    videos: list[Path] = field(default_factory=list)
    masks: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    captions: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    others: list[Path] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> _Entries:
        entries = cls(folder)
        for path in list_folder(folder):
            name, suffix = _name(path), path.suffix.lower()
            if path.name.startswith("."):
                continue
            if name.lower().endswith(MASK):
                entries.masks[name[: -len(MASK)]].append(path)
            elif path.is_dir():
                images = any(file.suffix.lower() in IMAGE_SUFFIXES for file in list_folder(path))
                (entries.videos if images else entries.others).append(path)
            elif suffix == ".txt":
                entries.captions[name].append(path)
            else:
                (entries.videos if suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES else entries.others).append(path)
        return entries

    def clip(self, video: Path, name: str, fps: float, *, needs_masks: bool) -> FileClip | Finding:
        """The clip of a video, or what it lacks."""
        masks, captions = self.masks.get(name, []), self.captions.get(name, [])
        origin = f"{self.folder.name}/{video.name}"
        if not masks and needs_masks:
            expected = f"expected {name}{MASK}.png (or another image or video), {name}{MASK}.npz or {name}{MASK}/"
            return Finding(video.name, origin, f"no mask, {expected}", "without mask")
        if len(masks) > 1:
            listed = " and ".join(mask.name for mask in masks)
            return Finding(video.name, origin, f"several masks, {listed}: keep one", "with several masks")
        if not captions:
            reason = f"no caption, expected {name}.txt (an empty file trains without a caption)"
            return Finding(video.name, origin, reason, "without caption")
        try:
            return FileClip(video, masks[0] if masks else None, read_text(captions[0]).strip(), fps)
        except UserError as error:
            return Finding(video.name, origin, str(error), "caption not readable")

    def strays(self) -> tuple[Finding, ...]:
        """Files that belong to no video."""
        names = {_name(video) for video in self.videos}
        lonely = [("a mask without a video", self.masks), ("a caption without a video", self.captions)]
        found = [(path, what) for what, files in lonely for name in files if name not in names for path in files[name]]
        found += [(path, "not a video, mask or caption by its name") for path in self.others]
        return tuple(Finding(path.name, f"{self.folder.name}/{path.name}", what, "other file") for path, what in found)


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem
