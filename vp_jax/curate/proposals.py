"""Boxes of what may be a thing, by OpenCV alone: what moves against the camera, and what stands out of the border.

For each frame that is looked at:

    motion      DIS flow to a neighbour, less the median flow (the camera's), in pixels
    saliency    distance of a pixel's colour from the nearest of the colours along the border (boundary prior)
    boxes       of connected parts whose saliency is above Otsu's threshold, and of moving parts elsewhere; by score,
                the mean of saliency or motion times the root of the area
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.segment.flow import dis_flow

_ROWS = 160
_MOVES = 0.6
"""Pixels at `_ROWS` rows that a thing moves between the two frames, at least."""
_SAME = 0.2
"""Overlap from which a moving part is one that stands out."""
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
      least_area: of a box, as a share of the frame.
      most_area: the same, at most.
      most: boxes.
    """
    height, width = frame_HWC.shape[:2]
    scale = min(1.0, _ROWS / height)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small_HWC = cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA)
    saliency_HW = _saliency(small_HWC)
    found = _boxes(_stands_out(saliency_HW), saliency_HW / 100)
    if neighbour_HWC is not None:
        motion_HW = _motion(small_HWC, cv2.resize(neighbour_HWC, size, interpolation=cv2.INTER_AREA))
        moving = _boxes(motion_HW > _MOVES, motion_HW / 100)
        found += [box for box in moving if all(overlap_of(box[:4], other[:4]) < _SAME for other in found)]
    pixels = size[0] * size[1]
    fitting = [box for box in found if least_area <= box.width * box.height / pixels <= most_area]
    best = sorted(fitting, key=lambda box: -box.score)[:most]
    return [_at_size(box, size, (width, height)) for box in best]


def _stands_out(saliency_HW: np.ndarray) -> np.ndarray:
    threshold, _ = cv2.threshold(np.clip(saliency_HW, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return np.asarray(saliency_HW > max(threshold, _STANDS_OUT))


def _boxes(foreground_HW: np.ndarray, weight_HW: np.ndarray) -> list[Proposal]:
    """Boxes of connected parts; the score is the mean weight times the root of the area."""
    closed_HW = cv2.morphologyEx(foreground_HW.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    opened_HW = cv2.morphologyEx(closed_HW, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(opened_HW, connectivity=4)
    out = []
    for label in range(1, count):
        part_HW = labels_HW == label
        score = float(weight_HW[part_HW].mean() * np.sqrt(part_HW.mean()))
        x, y, width, height = (int(value) for value in stats[label, :4])
        out.append(Proposal(x, y, width, height, score))
    return out


def overlap_of(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    sides = [
        min(a + size_a, b + size_b) - max(a, b)
        for a, b, size_a, size_b in zip(first[:2], second[:2], first[2:4], second[2:4])
    ]
    inner = max(0.0, sides[0]) * max(0.0, sides[1])
    return float(inner / (first[2] * first[3] + second[2] * second[3] - inner))


def _at_size(box: Proposal, small: tuple[int, int], size: tuple[int, int]) -> Proposal:
    across, down = size[0] / small[0], size[1] / small[1]
    left, top = int(box.x * across), int(box.y * down)
    right = min(size[0], round((box.x + box.width) * across))
    bottom = min(size[1], round((box.y + box.height) * down))
    return Proposal(left, top, max(1, right - left), max(1, bottom - top), round(box.score, 4))


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
    flow_HW2 = dis_flow(first, second, finest=False)
    return np.asarray(np.linalg.norm(flow_HW2 - np.median(flow_HW2, axis=(0, 1)), axis=-1))
