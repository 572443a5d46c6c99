"""Parts of a picture that may be a thing, and how much they look like one.

A thing differs from what is around it, in how it moves and in its colours. It is compact, and not cut off by the
border: what touches two borders is rather ground, wall or sky, what touches three nearly surely is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.curate.motion import Motion

LEAST_PIXELS = 40
_BIN = 16
_STILL, _PLAIN = 0.15, 0.1
"""What motion and colour count at least, so that a part without one of them still has a score."""
_CHANGE, _SPREAD = 6.0, 0.35
"""Change in grey values from which motion counts by half; width of the preference for the middle, in picture sizes."""
_SIZE = 0.03
"""Share of the picture at which a part's size counts by half."""
_COMPACT = 2.0
"""Power of the share of its convex hull that a part fills."""
_SIDES = (1.0, 1.0, 0.5, 0.1, 0.1)
"""Weight of a part by the number of borders that it touches."""


class PicturePart(NamedTuple):
    """Pixels bool HW, and their box (x, y, width, height)."""

    mask_HW: np.ndarray
    box: tuple[int, int, int, int]


def connected_parts(foreground_HW: np.ndarray) -> Iterator[PicturePart]:
    """Connected parts of a mask, without gaps, specks and thin lines."""
    closed_HW = cv2.morphologyEx(foreground_HW.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    opened_HW = cv2.morphologyEx(closed_HW, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    yield from _connected(opened_HW)


def told_by_colour(part: PicturePart, lab_HWC: np.ndarray) -> Iterator[PicturePart]:
    """A moving part without the ground at its rim, which the flow moves along: its largest piece of its own colours."""
    bins_HW = _bins(lab_HWC)
    ring_HW = ring_of(part.mask_HW)
    inside, around = (_histogram(bins_HW[mask_HW]) for mask_HW in (part.mask_HW, ring_HW))
    own_HW = (inside / (inside + around + 1e-9))[bins_HW] * part.mask_HW
    own_HW = cv2.GaussianBlur(own_HW.astype(np.float32), (5, 5), 0)
    opened_HW = cv2.morphologyEx((own_HW > 0.55).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    closed_HW = cv2.morphologyEx(opened_HW, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    largest = max(_connected(closed_HW), key=lambda piece: int(piece.mask_HW.sum()), default=None)
    if largest is not None and largest.mask_HW.sum() >= 0.3 * part.mask_HW.sum():
        yield largest


def score_of(part: PicturePart, lab_HWC: np.ndarray, motion: Motion | None) -> float:
    """How much a part looks like a thing, [0, 1]."""
    ring_HW = ring_of(part.mask_HW)
    if ring_HW.sum() < 20:
        return 0.0
    height, width = part.mask_HW.shape
    share = float(part.mask_HW.mean())
    x, y, across, down = part.box
    away = ((x + across / 2) / width - 0.5) ** 2 + ((y + down / 2) / height - 0.5) ** 2
    contrast = (_STILL + _moves(part, ring_HW, motion)) * (_PLAIN + _differs(part, ring_HW, lab_HWC))
    place = np.exp(-away / (2 * _SPREAD**2)) * _inside(part) * share / (share + _SIZE)
    return float(contrast / (1 + _STILL) / (1 + _PLAIN) * place * _solid(part) ** _COMPACT)


def ring_of(mask_HW: np.ndarray) -> np.ndarray:
    """What is around a part, from 2 to 10 pixels away, bool HW."""
    square = np.ones((5, 5), np.uint8)
    near_HW = cv2.dilate(mask_HW.astype(np.uint8), square)
    return np.asarray((cv2.dilate(near_HW, square, iterations=4) > 0) & (near_HW == 0))


def _moves(part: PicturePart, ring_HW: np.ndarray, motion: Motion | None) -> float:
    """How far a part moves against what is around it, against the differences of movement there, [0, 1)."""
    if motion is None:
        return 0.0
    around = motion.flow_HW2[ring_HW]
    ground = np.median(around, axis=0)
    spread = np.percentile(np.linalg.norm(around - ground, axis=1), 70)
    apart = float(np.linalg.norm(np.median(motion.flow_HW2[part.mask_HW], axis=0) - ground) / (0.5 + spread))
    change = float(np.percentile(motion.change_HW[part.mask_HW], 80))
    return apart / (apart + 2) * change / (change + _CHANGE)


def _differs(part: PicturePart, ring_HW: np.ndarray, lab_HWC: np.ndarray) -> float:
    """Bhattacharyya's distance of the colours of a part from those around it, [0, 1]."""
    bins_HW = _bins(lab_HWC)
    inside, around = (_histogram(bins_HW[mask_HW]) for mask_HW in (part.mask_HW, ring_HW))
    return float(1 - np.sqrt(inside * around).sum())


def _inside(part: PicturePart) -> float:
    """1 for a part that touches no border, less the more of its outline is one, [0, 1]."""
    height, width = part.mask_HW.shape
    x, y, across, down = part.box
    rims = [part.mask_HW[0], part.mask_HW[-1], part.mask_HW[:, 0], part.mask_HW[:, -1]]
    touching = sum(int(rim.sum()) for rim in rims) / max(1, len(_outline(part)))
    sides = sum([x <= 1, y <= 1, x + across >= width - 1, y + down >= height - 1])
    return max(0.0, 1 - 2 * touching) * _SIDES[sides]


def _solid(part: PicturePart) -> float:
    """Share of its convex hull that a part fills, (0, 1]: two things that touch fill less than one."""
    outline = _outline(part)
    return float(cv2.contourArea(outline) / max(1.0, cv2.contourArea(cv2.convexHull(outline))))


def _outline(part: PicturePart) -> np.ndarray:
    found, _ = cv2.findContours(part.mask_HW.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(max(found, key=cv2.contourArea))


def _connected(mask_HW: np.ndarray) -> Iterator[PicturePart]:
    count, labels_HW, stats, _ = cv2.connectedComponentsWithStats(mask_HW, connectivity=4)
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] >= LEAST_PIXELS:
            x, y, width, height = (int(value) for value in stats[label, :4])
            yield PicturePart(labels_HW == label, (x, y, width, height))


def _bins(lab_HWC: np.ndarray) -> np.ndarray:
    """Number of the colour bin of each pixel; lightness is coarser than colour."""
    cells_HWC = (lab_HWC // _BIN).astype(np.int32)
    return np.asarray((cells_HWC[..., 0] // 2 * 16 + cells_HWC[..., 1]) * 16 + cells_HWC[..., 2])


def _histogram(bins: np.ndarray) -> np.ndarray:
    return np.bincount(bins, minlength=8 * 16 * 16) / max(1, len(bins))
