"""Contact sheets of training examples, to look at what augmentation does (``vp-jax sheet data``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vp_jax.data.augment import FAMILIES, MORPHOLOGY, MaskAugment
from vp_jax.data.clips import ChooseWindow, Example, Read, Resize
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.files import write_atomically
from vp_jax.media.pictures import BLACK, WHITE, PictureRow, grid


def clip_sheet(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], columns: int = 5, width: int = 240) -> Image.Image:
    """One row per (title, frames FHWC, masks FHW): evenly spaced frames, the hole tinted red."""
    size = (width, round(width * rows[0][1].shape[1] / rows[0][1].shape[2]))
    lines = []
    for title, frames_FHWC, masks_FHW in rows:
        tinted = (_tinted(frames_FHWC[frame], masks_FHW[frame] > 0) for frame in _spread(len(frames_FHWC), columns))
        pictures = [np.asarray(Image.fromarray(picture_HWC).resize(size)) for picture_HWC in tinted]
        lines.append(PictureRow(f"{title}   hole {masks_FHW.mean():.1%}", pictures, BLACK))
    return grid(lines, above=14, gap=4, margin=4, font_size=11, paper=WHITE)


def _spread(frames: int, count: int) -> np.ndarray:
    return np.linspace(0, frames - 1, count).astype(int)


def _tinted(frame_HWC: np.ndarray, hole_HW: np.ndarray) -> np.ndarray:
    picture_HWC = frame_HWC.astype(np.float32)
    picture_HWC[hole_HW] = 0.45 * picture_HWC[hole_HW] + 0.55 * np.array([255, 30, 30])
    return picture_HWC.astype(np.uint8)


def every_family(
    data: VPData, resize: Resize, frames: int = 49, seed: int = 0
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Rows for `contact_sheet`: the masks as they are, then each family and each morphology on clips of the source."""
    rng = np.random.default_rng(seed)
    augment = MaskAugment()
    rows = []
    for number, family in enumerate(("untouched", *FAMILIES)):
        example: Example = {"clip": data[number % len(data)]}
        for step in (ChooseWindow(frames), Read()):
            example = step(example, rng)
        masks_FHW = example["masks"] if family == "untouched" else augment.apply(family, example["masks"], rng)
        rows.append((family, resize.frames(example["pixels"]), resize.masks(masks_FHW)))
        if family == "brush":
            for name, steps in MORPHOLOGY.items():
                morphed_FHW = example["masks"]
                for morph in steps:
                    morphed_FHW = np.stack([morph(mask_HW) for mask_HW in morphed_FHW])
                rows.append((f"brush: {name}", rows[-1][1], resize.masks(morphed_FHW)))
    return rows


def draw(out: Path, folder: Path | str, csv: Path | str, seed: int = 0) -> None:
    """Save the sheet of `every_family` on the rows ``csv`` of VPData in ``folder``."""
    data = VPData.from_csv(csv, Layout.under(folder))
    write_atomically(out, clip_sheet(every_family(data, Resize(), seed=seed)).save)
