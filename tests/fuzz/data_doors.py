"""Doors for tables, folders of clips, shards of arrays, and scenes to draw."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests import clip_files
from tests.data.make_vpdata_layout import LayoutWriter, caption_of, draw_clip
from tests.fuzz.doors import door
from tests.fuzz.mutations import Rng, damage_one, pick
from vp_jax.data.records import BadRecord
from vp_jax.data.sources.clip_table import open_csv
from vp_jax.data.sources.folders import davis, video_folder


def clips(folder: Path) -> None:
    """Two clips as files, a table of them, VPData's layout, and DAVIS."""
    frames = clip_files.moving(6, 32, 48)
    hole = np.zeros((32, 48), np.uint8)
    hole[8:20, 8:20] = 255
    place = folder / "clips"
    place.mkdir()
    for name in ("dog", "cat"):
        clip_files.encode(place / f"{name}.mp4", frames)
        Image.fromarray(hole).save(place / f"{name}_mask.png")
        (place / f"{name}.txt").write_text(f"a {name} on a lawn\n")
    rows = ["dog.mp4,dog_mask.png,a dog,,,", "cat.mp4,cat_mask.png,a cat,,1,5", 'dog.mp4,dog_mask.png,"a, b",255,0,6']
    (place / "table.csv").write_text("\n".join(["video,mask,caption,mask_id,start,stop", *rows]) + "\n")
    writer = LayoutWriter(folder / "vpdata")
    for seed in range(2):
        drawn, labels = draw_clip(8, 32, 48, seed)
        clip_files.encode(folder / "x.mp4", drawn)
        writer.add((folder / "x.mp4").read_bytes(), labels, 29.97, caption_of("dog") * 3)
    (folder / "x.mp4").unlink()
    writer.write("rows.csv")
    _davis(folder / "davis", frames, hole)


def _davis(place: Path, frames: np.ndarray, hole: np.ndarray) -> None:
    for name in ("bear", "camel"):
        for part in ("JPEGImages_432_240", "test_masks"):
            (place / part / name).mkdir(parents=True)
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(place / "JPEGImages_432_240" / name / f"{index:05d}.jpg")
            Image.fromarray(hole).save(place / "test_masks" / name / f"{index:05d}.png")
    (place / "davis_caption.csv").write_text("Video_Index,Video_Caption\n1,a bear walks\n2,a camel stands\n")


def _read_all(source: Any) -> None:
    """Open and read every clip of a source; a bad one is a `BadRecord`."""
    bad: BadRecord | None = None
    for index in range(min(len(source), 8)):
        try:
            clip = source[index]
            info = clip.open()
            clip.read(np.arange(0, min(info.frames, 4)))
        except BadRecord as error:
            bad = error
    if bad:
        raise bad


@door("tables", clips, share=2)
def _tables(folder: Path, rng: Rng) -> Callable[[], object]:
    name = pick(rng, ("clips/table.csv", "vpdata/rows.csv", "davis/davis_caption.csv"))
    for _ in range(int(rng.integers(1, 4))):
        damage_one(folder, rng, name) if (folder / name).is_file() and not (folder / name).is_symlink() else None
    if name.startswith("davis"):
        return lambda: _read_all(davis(folder / "davis"))
    return lambda: _read_all(open_csv(folder / name, frames=2, min_caption=5))


@door("folders of clips", clips, share=2)
def _folders(folder: Path, rng: Rng) -> Callable[[], object]:
    name = pick(rng, ("clips", "davis", "vpdata"))
    for _ in range(int(rng.integers(1, 3))):
        damage_one(folder / name, rng)
    if rng.random() < 0.15:
        file = pick(rng, sorted(path for path in (folder / name).rglob("*") if path.is_file()) or [folder / "x"])
        odd = pick(
            rng, ("a\nb.mp4", "\udcff.mp4", "x" * 250, "-.txt", "_mask.png", "a:b.mp4", ".hidden.mp4", "\x1b[31m.gif")
        )
        with contextlib.suppress(OSError):
            shutil.copy(file, file.parent / odd)
    if name == "clips":
        return lambda: _read_all(video_folder(folder / name))
    if name == "davis":
        return lambda: _read_all(davis(folder / name))
    return lambda: _read_all(open_csv(folder / name / "rows.csv", frames=2, min_caption=5))
