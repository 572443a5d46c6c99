"""A drawn clip with a moving hole, and results made from it: the orderings that scores must keep are known."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

FRAMES, HEIGHT, WIDTH = 9, 64, 96


class Made(NamedTuple):
    """uint8 pixels and bool holes of one clip."""

    truth_FHWC: np.ndarray
    holes_FHW: np.ndarray


def made_clip(frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> Made:
    """A textured background that moves by one pixel a frame; the hole is a disc that moves as well."""
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (height, width + frames, 3)), (0, 0), 2.0)
    noise = (noise - noise.min()) / (noise.max() - noise.min()) * 255
    rows, columns = np.mgrid[:height, :width]
    truth, holes = [], []
    for frame in range(frames):
        truth.append(noise[:, frame : frame + width])
        holes.append((rows - height / 2) ** 2 + (columns - width / 2 - frame) ** 2 < (height / 5) ** 2)
    return Made(np.stack(truth).astype(np.uint8), np.stack(holes))


def results_of(clip: Made) -> dict[str, np.ndarray]:
    """Results by name: ``perfect``, ``blurred``, ``shifted``, ``background``, ``object``, ``flickering``."""
    truth_FHWC, holes_FHW = clip
    hole = holes_FHW[..., None]
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 3.0) for frame in truth_FHWC])
    shifted = np.roll(truth_FHWC, 3, axis=2)
    kept = truth_FHWC.copy()
    kept[holes_FHW] = (200, 30, 30)
    levels = np.where(np.arange(len(truth_FHWC)) % 2, 25, -25)[:, None, None, None]
    flickering = np.clip(truth_FHWC.astype(int) + levels, 0, 255).astype(np.uint8)
    return {
        "perfect": truth_FHWC.copy(),
        "blurred": np.where(hole, blurred, truth_FHWC),
        "shifted": np.where(hole, shifted, truth_FHWC),
        "background": np.where(hole, truth_FHWC, blurred),
        "object": kept,
        "flickering": np.where(hole, flickering, truth_FHWC),
    }
