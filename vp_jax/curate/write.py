"""The output of a run: VPData's layout, a table of files, and the provenance of every clip.

    OUT/vpdata/videovo/raw_video/<9 digits>/<12 digits>.0.mp4
    OUT/vpdata/video_inpainting/videovo/<12 digits>/all_masks.npz
    OUT/vpdata/pexels_videovo_train_dataset.csv      path, start_frame, end_frame, fps, mask_id, caption
    OUT/clips_train.csv                              video, mask, caption and more, for --config.data.csv
    OUT/provenance.jsonl                             one line per clip: source, licence, models, settings, scores

Files are links to those of the store where the file system has links. Twelve digits are taken from the digest of the
clip, so a clip keeps its name when sources are added.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.curate.record import ClipRecord, CurationStage, key_of, settings_of
from vp_jax.files import replacing, write_atomically, write_text

VPDATA_COLUMNS = ("path", "start_frame", "end_frame", "fps", "mask_id", "caption")
"""In this order: the original's training reads rows by position."""
FILE_COLUMNS = ("video", "mask", "caption", "thing_caption", "mask_id", "fps", "frames", "source", "licence", "labels")
TRAIN, VALIDATION = "train", "val"


class Written(NamedTuple):
    """A clip of the output.

    Attributes:
      number: its twelve digits.
      split: `TRAIN` or `VALIDATION`.
      clip: its record.
    """

    number: str
    split: str
    clip: ClipRecord


def named(clips: Iterable[ClipRecord], validation: float) -> list[Written]:
    """Clips with number and split, ordered by name; pieces of one source are in one split.

    Args:
      clips: of the last stage.
      validation: share of the sources, in [0, 1].
    """
    taken: set[str] = set()
    out = []
    for clip in sorted(clips, key=lambda clip: clip.name):
        number = int(hashlib.sha256(f"{clip.sha256}[{clip.start}:{clip.stop}]{clip.name}".encode()).hexdigest(), 16)
        while (digits := f"{number % 10**12:012d}") in taken:
            number += 1
        taken.add(digits)
        share = int(clip.sha256[:8], 16) / 2**32
        out.append(Written(digits, VALIDATION if share < validation else TRAIN, clip))
    return out


def write_output(root: Path, clips: Sequence[Written], stages: Sequence[CurationStage]) -> list[Path]:
    """Write layout, tables and provenance. Returns the tables of VPData, one for each split that has clips."""
    with replacing(root / "vpdata") as partial:
        partial.mkdir()
        for written in clips:
            _link_clip(root, partial, written)
        splits = [split for split in (TRAIN, VALIDATION) if any(written.split == split for written in clips)]
        for split in splits:
            rows = [row for written in clips if written.split == split for row in _vpdata_rows(written)]
            _write_csv(partial / _table(split), VPDATA_COLUMNS, rows)
    for split in (TRAIN, VALIDATION):
        file = root / f"clips_{split}.csv"
        if split in splits:
            rows = [row for written in clips if written.split == split for row in _file_rows(written)]
            write_atomically(file, lambda path, rows=rows: _write_csv(path, FILE_COLUMNS, rows))  # type: ignore[misc]
        else:
            file.unlink(missing_ok=True)
    lines = [json.dumps(provenance(written, stages), sort_keys=True) for written in clips]
    write_text(root / "provenance.jsonl", "".join(line + "\n" for line in lines))
    return [root / "vpdata" / _table(split) for split in splits]


def provenance(written: Written, stages: Sequence[CurationStage]) -> dict[str, Any]:
    """Where a clip comes from: source, licence, digest, models, the settings of every stage, scores, statistics."""
    clip = written.clip
    return {
        "number": written.number,
        "split": written.split,
        "clip": clip.name,
        "source": clip.source,
        "licence": clip.licence,
        "sha256": clip.sha256,
        "frames": [clip.start, clip.stop],
        "fps": clip.fps,
        "tags": list(clip.tags),
        "captions": dict(clip.captions),
        "scores": dict(clip.scores),
        "things": {thing: dict(values) for thing, values in clip.things.items()},
        "boxes": [list(box) for box in clip.boxes],
        "models": dict(clip.models),
        "stages": [settings_of(stage) for stage in stages],
        "key": key_of(stages[-1], clip) if stages else "",
    }


def mask_folder(clip: ClipRecord) -> str:
    """The folder of the packed masks of a clip, relative to the output folder."""
    return clip.masks.rpartition("/")[0]


def _table(split: str) -> str:
    return f"pexels_videovo_{split}_dataset.csv"


def _link_clip(root: Path, folder: Path, written: Written) -> None:
    number, clip = written.number, written.clip
    _link(root / clip.video, folder / "videovo" / "raw_video" / number[:-3] / f"{number}.0.mp4")
    packed = root / mask_folder(clip) / "all_masks.npz"
    if packed.exists():
        _link(packed, folder / "video_inpainting" / "videovo" / number / "all_masks.npz")


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _vpdata_rows(written: Written) -> Iterator[Mapping[str, Any]]:
    clip = written.clip
    for thing in clip.things:
        row = {"path": f"{written.number}.0.mp4", "start_frame": 0, "end_frame": clip.frames, "fps": _rate(clip)}
        yield {**row, "mask_id": int(thing), "caption": _line(clip.captions[""])}


def _file_rows(written: Written) -> Iterator[Mapping[str, Any]]:
    clip = written.clip
    folder = mask_folder(clip)
    for thing in clip.things:
        yield {
            "video": clip.video,
            "mask": f"{folder}/thing_{thing}.mkv",
            "caption": _line(clip.captions[""]),
            "thing_caption": _line(clip.captions.get(thing, "")),
            "mask_id": "",
            "fps": _rate(clip),
            "frames": clip.frames,
            "source": clip.source,
            "licence": clip.licence,
            "labels": f"{clip.masks}#{thing}",
        }


def _rate(clip: ClipRecord) -> str:
    """Frames per second as a number; the original divides by it."""
    return f"{float(clip.rate):.6g}"


def _line(text: str) -> str:
    return " ".join(text.split())


def _write_csv(file: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
