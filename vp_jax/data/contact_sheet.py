"""Contact sheets of training examples, to look at what augmentation does (``vp-jax sheet data``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vp_jax.data.augment import FAMILIES, MORPHOLOGY, MaskAugment
from vp_jax.data.clips import ChooseWindow, Example, Read, Resize
from vp_jax.data.sources.vpdata import Layout, VPData


def contact_sheet(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray]], columns: int = 5, width: int = 240
) -> Image.Image:
    """One row per (title, frames FHWC, masks FHW): evenly spaced frames, the hole tinted red."""
    height = round(width * rows[0][1].shape[1] / rows[0][1].shape[2])
    sheet = Image.new("RGB", (columns * (width + 4), len(rows) * (height + 18)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (title, frames_FHWC, masks_FHW) in enumerate(rows):
        draw.text((4, row * (height + 18) + 2), f"{title}   hole {masks_FHW.mean():.1%}", fill="black")
        for column, frame in enumerate(np.linspace(0, len(frames_FHWC) - 1, columns).astype(int)):
            picture = frames_FHWC[frame].astype(np.float32)
            picture[masks_FHW[frame] > 0] = 0.45 * picture[masks_FHW[frame] > 0] + 0.55 * np.array([255, 30, 30])
            tile = Image.fromarray(picture.astype(np.uint8)).resize((width, height))
            sheet.paste(tile, (column * (width + 4), row * (height + 18) + 16))
    return sheet


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
    contact_sheet(every_family(data, Resize(), seed=seed)).save(out)
