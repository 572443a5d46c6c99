"""A picture of a video with its mask, to look at before a run: ``--preview``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vp_jax.files import replacing
from vp_jax.media.frames import Frames
from vp_jax.media.mask_check import MaskCheck
from vp_jax.media.pictures import ACCENT, INK, PictureRow, fitted, grid, masked, outlined

COLUMNS, CELL = 6, 320
"""Most frames in the picture, and the longer side of each in pixels."""


def write_preview(path: Path, frames_FHWC: Frames, holes_FHW: Frames, check: MaskCheck) -> None:
    """Write a sheet (.png) of frames with their holes outlined and hatched, the odd ones among them.

    Args:
      path: of the picture; replaced once the new one is complete.
      frames_FHWC: uint8 RGB.
      holes_FHW: bool, True = generated.
      check: see `vp_jax.media.mask_check.check_masks`; its findings stand above the pictures.
    """
    height, width = holes_FHW.shape[1:]
    scale = CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    chosen = _chosen(len(holes_FHW), check.frames)
    rows: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number in chosen:
        frame_HWC = fitted(frames_FHWC[number], size)
        hole_HW = np.asarray(Image.fromarray(holes_FHW[number]).resize(size, Image.Resampling.NEAREST))
        rows[0].append(outlined(frame_HWC, hole_HW))
        rows[1].append(masked(frame_HWC, hole_HW))
    heads = [f"frame {number}{' (!)' if number in check.frames else ''}" for number in chosen]
    notes = [PictureRow(note, colour=ACCENT) for note in check.notes] or [PictureRow("nothing odd about the mask")]
    lines = [*notes, PictureRow("source", rows[0], INK), PictureRow("kept", rows[1], INK)]
    title = f"{len(holes_FHW)} frames, hole {100 * check.area_F.mean():.2g} % of all pixels"
    with replacing(path) as partial:
        grid(lines, left=84, heads=heads, title=title).save(partial, format="png")


def _chosen(frames: int, odd: tuple[int, ...]) -> list[int]:
    """Up to `COLUMNS` frames: evenly spaced ones, half of them replaced by odd ones where there are such."""
    picked = (
        [odd[i] for i in np.linspace(0, len(odd) - 1, min(len(odd), COLUMNS // 2)).round().astype(int)] if odd else []
    )
    even = np.linspace(0, frames - 1, min(frames, COLUMNS - len(picked))).round().astype(int)
    return sorted({*picked, *even.tolist()})
