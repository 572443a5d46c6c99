"""Videos of the drawn world with faults put in on purpose, and the truth about them.

    python -m tests.curate.drawn_sources FOLDER

Masks and cuts of every video are known, and so is the fault that curation must name.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vp_jax.media.video_writer import write_video
from vp_jax.world.looks import make_scene, render

FPS = 8


@dataclass(frozen=True)
class Drawn:
    """A video.

    Attributes:
      name: of its file.
      fault: word that the reason must hold; "" if it is good.
      stage: that must find the fault.
      labels_FHW: true things of each frame; None where no file can be read.
      cuts: first frames of shots.
    """

    name: str
    fault: str = ""
    stage: str = ""
    labels_FHW: np.ndarray | None = None
    cuts: tuple[int, ...] = ()


def scene_frames(seed: int, frames: int, height: int, width: int):
    """Frames uint8 FHWC of a scene, and labels uint8 FHW."""
    drawn = render(make_scene(seed, "flat"), np.arange(frames, dtype=np.float64), height, width)
    return drawn.frames_FHWC, drawn.labels_FHW


def write_sources(
    folder: Path,
    *,
    good: int = 8,
    films: int = 2,
    frames: int = 56,
    height: int = 96,
    width: int = 144,
    first: int = 500,
) -> list[Drawn]:
    """Write good videos, films of several shots, and one video of each fault."""
    folder.mkdir(parents=True, exist_ok=True)
    out, seed = [], first
    for number in range(good):
        pixels, labels = scene_frames(seed, frames, height, width)
        out.append(_written(folder, f"good_{number:02d}.mp4", pixels, labels_FHW=labels))
        seed += 1
    for number in range(films):
        shots = [scene_frames(seed + shot, frames, height, width) for shot in range(3)]
        pixels, labels = (np.concatenate([shot[part] for shot in shots]) for part in (0, 1))
        name = f"film_{number:02d}.mp4"
        out.append(_written(folder, name, pixels, labels_FHW=labels, cuts=(frames, 2 * frames)))
        seed += 3
    return [*out, *_faults(folder, seed, frames, height, width)]


def _faults(folder: Path, seed: int, frames: int, height: int, width: int) -> list[Drawn]:
    pixels, labels = scene_frames(seed, frames, height, width)
    out = [
        _written(folder, "still.mp4", np.repeat(pixels[:1], frames, axis=0), fault="still picture", stage="collect"),
        _written(folder, "short.mp4", pixels[: 3 * FPS], fault="too short", stage="collect"),
    ]
    bars = pixels.copy()
    bars[:, : height // 8], bars[:, -(height // 8) :] = 0, 0
    out.append(_written(folder, "bars.mp4", bars, fault="black bars", stage="collect"))
    good = folder / "good_00.mp4"
    cut_off = good.read_bytes()
    (folder / "broken_cut_off.mp4").write_bytes(cut_off[: len(cut_off) // 2])
    (folder / "broken_noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    (folder / "broken_empty.mp4").write_bytes(b"")
    faults = {"cut_off": "damaged", "noise": "cannot be read", "empty": "cannot be read"}
    out += [Drawn(f"broken_{kind}.mp4", fault, "collect") for kind, fault in faults.items()]
    (folder / "twin_copy.mp4").write_bytes(cut_off)
    first, _ = scene_frames(500, frames, height, width)
    smaller = [cv2.resize(frame, (width * 3 // 4, height * 3 // 4), interpolation=cv2.INTER_AREA) for frame in first]
    write_video(folder / "twin_smaller.mp4", smaller, Fraction(FPS), quality=30)
    out += [Drawn(f"twin_{kind}.mp4", "near-duplicate of good_00.mp4", "duplicates") for kind in ("copy", "smaller")]
    return out


def _written(folder: Path, name: str, pixels: np.ndarray, **known) -> Drawn:
    write_video(folder / name, pixels, Fraction(FPS))
    return Drawn(name, **known)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    made = write_sources(target, good=12, height=240, width=360)
    truth = [{"name": drawn.name, "fault": drawn.fault, "stage": drawn.stage, "cuts": drawn.cuts} for drawn in made]
    (target / "truth.json").write_text(json.dumps(truth, indent=1))
    labels = {drawn.name: drawn.labels_FHW for drawn in made if drawn.labels_FHW is not None}
    np.savez_compressed(target / "truth.npz", **labels)
    print(f"{len(made)} videos in {target}")
