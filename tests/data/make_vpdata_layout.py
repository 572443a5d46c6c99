"""Turns a folder of clips into the official VPData layout: CSV, videos by number, one label map per video.

    python tests/data/make_vpdata_layout.py CLIPS OUT

Videos are taken as they are (videovo names), folders of images become mp4. Videos get two drifting
discs as labelled objects, image folders keep their masks. Captions are made up. `draw_clip` draws whole videos.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from vp_jax.data.records import load_record
from vp_jax.data.sources.file_clip import FileClip
from vp_jax.data.sources.folders import VIDEO_SUFFIXES
from vp_jax.media.images import IMAGE_SUFFIXES
from vp_jax.media.video import probe
from vp_jax.media.video_writer import encode_mp4

FIELDS = ("path", "start_frame", "end_frame", "fps", "mask_id", "caption")


def caption_of(name: str) -> str:
    return f"A short clip called {name}, made for testing: something moves slowly across a patterned background."


def draw_labels(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Label map (F, H, W): 0, and two discs labelled 1 and 2 that drift on circles."""
    y_H1, x_1W = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    labels_FHW = np.zeros((frames, height, width), np.uint8)
    for frame in range(frames):
        for label, (across, phase) in enumerate(((0.3, 0.0), (0.7, 2.0)), start=1):
            turn = 2 * np.pi * frame / 60 + phase + seed
            centre = width * (across + 0.08 * np.cos(turn)), height * (0.5 + 0.2 * np.sin(turn))
            inside = (x_1W - centre[0]) ** 2 + (y_H1 - centre[1]) ** 2 <= (height / 6) ** 2
            labels_FHW[frame][inside] = label
    return labels_FHW


def draw_clip(frames: int, height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A gradient that slides behind two coloured discs: frames FHWC and labels FHW."""
    labels_FHW = draw_labels(frames, height, width, seed)
    ramp_W = np.linspace(0, 255, width)
    frames_FHWC = np.empty((frames, height, width, 3), np.uint8)
    for frame in range(frames):
        frames_FHWC[frame] = np.roll(ramp_W, 3 * frame + 17 * seed)[None, :, None]
        frames_FHWC[frame, :, :, 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    frames_FHWC[labels_FHW == 1], frames_FHWC[labels_FHW == 2] = (220, 40, 40), (40, 60, 220)
    return frames_FHWC, labels_FHW


class LayoutWriter:
    """Writes videos and label maps under ``data`` and collects the rows of ``data/<name>.csv``."""

    def __init__(self, data: Path):
        self.data, self.rows = Path(data), []

    def files(self, pexels: bool = False) -> tuple[str, Path, Path]:
        """Row path, video file and mask file of the next video."""
        number = f"{len(self.rows):012d}"
        base, name = (f"{number}_77", f"{number}_77.mp4") if pexels else (number, f"{number}.0.mp4")
        site, root = ("pexels", "pexels/pexels/raw_video") if pexels else ("videovo", "videovo/raw_video")
        mask = self.data / "video_inpainting" / site / base / "all_masks.npz"
        return name, self.data / root / number[:9] / name, mask

    def add(self, video: bytes, labels_FHW: np.ndarray, fps: float, caption: str, pexels: bool = False) -> dict:
        """One video with its labels: a row for label 1. Returns the row, which may be edited before `write`."""
        path, video_file, mask_file = self.files(pexels)
        for file in (video_file, mask_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        video_file.write_bytes(video)
        np.savez_compressed(mask_file, labels_FHW)
        values = (path, 0, len(labels_FHW), fps, 1, caption)
        self.rows.append(dict(zip(FIELDS, values)))
        return self.rows[-1]

    def write(self, name: str = "pexels_videovo_train_dataset.csv") -> Path:
        file = self.data / name
        with open(file, "w", newline="") as stream:
            writer = csv.DictWriter(stream, FIELDS)
            writer.writeheader()
            writer.writerows(self.rows)
        return file


def convert(clips: Path, out: Path) -> Path:
    """Every video and image folder of ``clips`` into the layout under ``out``; returns the CSV."""
    writer = LayoutWriter(out)
    for path in sorted(clips.iterdir()):
        name = path.name if path.is_dir() else path.stem
        if name.endswith("_mask"):
            continue
        mask = clips / f"{name}_mask"
        if path.is_dir() and mask.is_dir() and any(file.suffix in IMAGE_SUFFIXES for file in path.iterdir()):
            record = load_record(FileClip(path, mask, caption_of(name)))
            row = writer.add(encode_mp4(record.frames_FHWC, 8), record.masks_FHW, 8, record.caption, pexels=True)
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            info = probe(path)
            labels_FHW = draw_labels(info.frames, info.height, info.width)
            row = writer.add(path.read_bytes(), labels_FHW, float(info.fps), caption_of(name))
            writer.rows.append({**row, "mask_id": 2})
        else:
            continue
        print(f"{name}: {row['path']}, {row['end_frame']} frames at {row['fps']:g} fps")
    return writer.write()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    print(convert(args.clips, args.out))
