"""Odd files that people have, drawn here, read through both doors, and compared with what was drawn.

    python -m tests.odd_files            prints one row per file: sampling, training, and whether both are right

The doors: sampling reads with `read_video` and `read_masks`, training with the clips of a folder. What is right is
computed from what was drawn, with conversions written here, never with the readers of the project.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.odd import film_masks, films, image_masks  # noqa: F401, each adds its files to the list
from tests.odd.drawing import CLIP, ODD, Odd, images
from vp_jax.data.records import BadRecord
from vp_jax.data.sources.folders import video_folder
from vp_jax.errors import UserError
from vp_jax.media import masks, video


@dataclass(frozen=True)
class Seen:
    """What a door made of a file: frames and holes, or why it refused it."""

    frames: np.ndarray | None = None
    holes: np.ndarray | None = None
    refused: str = ""


@dataclass(frozen=True)
class Row:
    """Both doors on one file."""

    odd: Odd
    sampling: Seen
    training: Seen

    @property
    def same(self) -> bool:
        if self.sampling.refused or self.training.refused:
            return bool(self.sampling.refused) == bool(self.training.refused)
        pairs = ((self.sampling.frames, self.training.frames), (self.sampling.holes, self.training.holes))
        return all(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs)

    @property
    def right(self) -> bool:
        return self.same and not (fault(self.odd, self.sampling) or fault(self.odd, self.training))


def fault(odd: Odd, seen: Seen) -> str:
    """What is wrong with what a door saw, "" if nothing."""
    if odd.refused or seen.refused:
        return "" if odd.refused and re.search(odd.refused, seen.refused) else f"refused: {seen.refused or 'not'}"
    assert seen.frames is not None and seen.holes is not None
    if odd.holes is not None:
        if seen.holes.shape != odd.holes.shape:
            return f"{seen.holes.shape} holes, drawn {odd.holes.shape}"
        moved = (seen.holes != odd.holes).sum() / odd.holes.sum()
        return f"{moved:.1%} of the hole is elsewhere" if moved > odd.edge else ""
    assert odd.frames is not None
    if seen.frames.shape != odd.frames.shape:
        return f"frames {seen.frames.shape}, drawn {odd.frames.shape}"
    error = np.abs(seen.frames.astype(int) - odd.frames).mean()
    return f"mean error {error:.2f}" if error > odd.mean else ""


def lay_out(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """The file and its plain partner in a folder of clips: video and mask."""
    if odd.holes is not None:
        (folder / "clip.txt").write_text("a caption")
        frames = images(folder / "clip", [Image.fromarray(frame) for frame in CLIP])
        return frames, odd.make(folder / "clip_mask")
    path = odd.make(folder / "clip")
    assert odd.frames is not None
    name = path.name if path.is_dir() else path.stem
    hole_HW = np.zeros(odd.frames.shape[1:3], np.uint8)
    hole_HW[4:12, 4:20] = 255
    (folder / f"{name}.txt").write_text("a caption")
    plain = folder / f"{name}_mask.png"
    Image.fromarray(hole_HW).save(plain)
    return path, plain


def through_sampling(path: Path, mask_path: Path) -> Seen:
    try:
        info = video.probe(path)
        frames, _ = video.read_video(path)
        holes = masks.align(
            masks.read_masks(mask_path),
            frames=len(frames),
            height=info.height,
            width=info.width,
            static=masks.is_static(mask_path),
        )
        assert (info.frames, info.height, info.width) == frames.shape[:3], "probe and reader disagree"
        return Seen(frames, holes)
    except UserError as error:
        return Seen(refused=str(error))


def through_training(folder: Path) -> Seen:
    try:
        (clip,) = video_folder(folder)
        frames, holes = clip.read(np.arange(clip.open().frames))
        return Seen(frames, holes.astype(bool))
    except (BadRecord, UserError) as error:
        return Seen(refused=str(error))


def check(odd: Odd, folder: Path) -> Row:
    """Draw a file into an empty folder and read it through both doors."""
    path, mask_path = lay_out(odd, folder)
    return Row(odd, through_sampling(path, mask_path), through_training(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    args = parser.parse_args()
    wrong = 0
    print(f"{'file':<50} {'sampling':<34} {'training':<34} same  right")
    for number, odd in enumerate(ODD):
        folder = args.keep / f"{number:02d}" if args.keep else Path(tempfile.mkdtemp(prefix="odd_files_"))
        folder.mkdir(parents=True, exist_ok=True)
        row = check(odd, folder)
        cells = [
            fault(odd, seen) or ("refused" if odd.refused else "as drawn") for seen in (row.sampling, row.training)
        ]
        verdict = f"{'yes' if row.same else 'NO':<5} {'yes' if row.right else 'NO'}"
        print(f"{odd.name:<50} {cells[0][:33]:<34} {cells[1][:33]:<34} {verdict}", flush=True)
        wrong += not row.right
        if not args.keep:
            shutil.rmtree(folder)
    print(f"{len(ODD)} files, {len(ODD) - wrong} right through both doors")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
