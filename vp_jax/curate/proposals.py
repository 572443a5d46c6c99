"""Boxes of what may be a thing, by OpenCV alone: what moves against the camera, and what stands out of the border.

For each frame that is looked at:

    motion      DIS flow to a neighbour, less the homography that most of it agrees with (`vp_jax.curate.motion`)
    saliency    distance of a pixel's colour from the nearest of the colours along the border (boundary prior)
    parts       whose saliency is above Otsu's threshold, and that move by more than each of several limits, with and
                without the ground that the flow moves along with them
    boxes       of the parts that look most like a thing (`vp_jax.curate.parts`), none of which overlaps a better one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.curate.motion import Motion, motion_between
from vp_jax.curate.parts import PicturePart, connected_parts, score_of, told_by_colour

_ROWS = 160
_MOVES = (0.6, 1.2, 2.4, 4.8)
"""Pixels at `_ROWS` rows that a thing moves between the two frames, at least: slow and fast ones."""
_SAME = 0.2
"""Overlap from which two boxes are of one thing."""
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
    lab_HWC = cv2.cvtColor(small_HWC, cv2.COLOR_RGB2LAB).astype(np.float32)
    motion = None
    if neighbour_HWC is not None:
        motion = motion_between(small_HWC, cv2.resize(neighbour_HWC, size, interpolation=cv2.INTER_AREA))
    parts = [*connected_parts(_stands_out(_saliency(small_HWC))), *_moving(lab_HWC, motion)]
    pixels = size[0] * size[1]
    fitting = [part for part in parts if least_area <= part.box[2] * part.box[3] / pixels <= most_area]
    scored = [Proposal(*part.box, score_of(part, lab_HWC, motion)) for part in fitting]
    best: list[Proposal] = []
    for box in sorted(scored, key=lambda box: -box.score):
        if len(best) < most and all(overlap_of(box[:4], other[:4]) < _SAME for other in best):
            best.append(box)
    return [_at_size(box, size, (width, height)) for box in best]


def _moving(lab_HWC: np.ndarray, motion: Motion | None) -> Iterator[PicturePart]:
    """Parts that move, each also without the ground at its rim."""
    if motion is None:
        return
    speed_HW = np.linalg.norm(motion.flow_HW2, axis=-1)
    for least in _MOVES:
        for part in connected_parts(speed_HW > least):
            yield part
            yield from told_by_colour(part, lab_HWC)


def _stands_out(saliency_HW: np.ndarray) -> np.ndarray:
    threshold, _ = cv2.threshold(np.clip(saliency_HW, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return np.asarray(saliency_HW > max(threshold, _STANDS_OUT))


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
    """The most frequent colours, of bins of 16 Lab values; one at least."""
    _, inverse, counts = np.unique((pixels // 16).astype(np.int32), axis=0, return_inverse=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:count]
    largest = largest[: max(1, int((counts[largest] > 0.02 * len(pixels)).sum()))]
    return np.stack([pixels[inverse.reshape(-1) == place].mean(axis=0) for place in largest])
