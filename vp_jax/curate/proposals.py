"""Boxes of what may be a thing, by OpenCV alone: what moves against the camera, and what stands out of the border.

For each frame that is looked at:

    motion      DIS flow to a neighbour, less the median flow (the camera's), in pixels
    saliency    distance of a pixel's colour from the nearest of the colours along the border (boundary prior)
    foreground  motion above its limit, or saliency above Otsu's; closed, small parts removed
    boxes       of connected parts, by score = mean saliency + mean motion, times the root of the area
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.curate.measures import flow_between

_ROWS = 160
_MOVES = 0.6
"""Pixels at `_ROWS` rows that a thing moves between the two frames, at least."""
_STANDS_OUT = 18.0
"""Distance in Lab from the border's colours, at least."""


class Proposal(NamedTuple):
    """A box in pixels of the frame, with its score."""

    x: int
    y: int
    width: int
    height: int
    score: float


def propose(
    frame_HWC: np.ndarray, neighbour_HWC: np.ndarray | None, *, least_area: float, most_area: float, most: int
) -> list[Proposal]:
    """Boxes of a frame, the best first.

    Args:
      frame_HWC: uint8 RGB.
      neighbour_HWC: a frame shortly before or after it; None: motion is not looked at.
      least_area, most_area: of a box, as a share of the frame.
      most: boxes.
    """
    height, width = frame_HWC.shape[:2]
    scale = min(1.0, _ROWS / height)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small_HWC = cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA)
    saliency_HW = _saliency(small_HWC)
    motion_HW = np.zeros_like(saliency_HW)
    if neighbour_HWC is not None:
        motion_HW = _motion(small_HWC, cv2.resize(neighbour_HWC, size, interpolation=cv2.INTER_AREA))
    threshold, _ = cv2.threshold(np.clip(saliency_HW, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    foreground_HW = (motion_HW > _MOVES) | (saliency_HW > max(threshold, _STANDS_OUT))
    closed_HW = cv2.morphologyEx(foreground_HW.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    opened_HW = cv2.morphologyEx(closed_HW, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(opened_HW, connectivity=8)
    found = []
    for label in range(1, count):
        x, y, columns, rows = (int(value) for value in stats[label, :4])
        area = columns * rows / (size[0] * size[1])
        if least_area <= area <= most_area:
            part_HW = labels_HW == label
            score = (saliency_HW[part_HW].mean() / 100 + motion_HW[part_HW].mean()) * np.sqrt(part_HW.mean())
            found.append(_at_size(x, y, columns, rows, float(score), size, (width, height)))
    return sorted(found, key=lambda box: -box.score)[:most]


def overlap_of(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    sides = [
        min(a + size_a, b + size_b) - max(a, b)
        for a, b, size_a, size_b in zip(first[:2], second[:2], first[2:4], second[2:4])
    ]
    inner = max(0.0, sides[0]) * max(0.0, sides[1])
    return float(inner / (first[2] * first[3] + second[2] * second[3] - inner))


def _at_size(
    x: int, y: int, columns: int, rows: int, score: float, small: tuple[int, int], size: tuple[int, int]
) -> Proposal:
    across, down = size[0] / small[0], size[1] / small[1]
    left, top = int(x * across), int(y * down)
    right, bottom = min(size[0], round((x + columns) * across)), min(size[1], round((y + rows) * down))
    return Proposal(left, top, max(1, right - left), max(1, bottom - top), round(score, 4))


def _saliency(small_HWC: np.ndarray) -> np.ndarray:
    """Distance of each pixel in Lab from the nearest of the border's main colours."""
    lab_HWC = cv2.cvtColor(small_HWC, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = max(1, min(lab_HWC.shape[:2]) // 20)
    border = np.concatenate(
        [
            lab_HWC[:rim].reshape(-1, 3),
            lab_HWC[-rim:].reshape(-1, 3),
            lab_HWC[:, :rim].reshape(-1, 3),
            lab_HWC[:, -rim:].reshape(-1, 3),
        ]
    )
    colours = _main_colours(border)
    distances = np.linalg.norm(lab_HWC[:, :, None] - colours, axis=-1)
    return np.asarray(cv2.GaussianBlur(distances.min(axis=-1), (3, 3), 0))


def _main_colours(pixels: np.ndarray, count: int = 6) -> np.ndarray:
    """The most frequent colours, of bins of 16 Lab values."""
    bins, inverse, counts = np.unique((pixels // 16).astype(np.int32), axis=0, return_inverse=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:count]
    largest = largest[counts[largest] > 0.02 * len(pixels)] if len(bins) > 1 else largest
    return np.stack([pixels[inverse.reshape(-1) == place].mean(axis=0) for place in largest])


def _motion(small_HWC: np.ndarray, neighbour_HWC: np.ndarray) -> np.ndarray:
    """Length of the flow of each pixel, less that of the camera."""
    first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (small_HWC, neighbour_HWC))
    flow_HW2 = flow_between(first, second)
    return np.asarray(np.linalg.norm(flow_HW2 - np.median(flow_HW2, axis=(0, 1)), axis=-1))
