"""What moves against the background: evidence for a thing whose colours do not tell it apart.

A camera that pans shows the ground behind a moving thing in the frames before and after. Each of a few neighbours is
laid over the frame by the homography of the background and by the flow that is left, which is smoothed into the thing's
place from around it. Where the frame differs from all neighbours, something else than background is in front::

    frame t        -----[ thing ]-----
    frame t + 3    --[ thing ]--------      laid over t: the ground under the right end of the thing is known

A neighbour says nothing where the thing itself covers the ground in it, or where its picture ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import cv2
import numpy as np

from vp_jax.segment.flow import dis_flow
from vp_jax.segment.views import View, Window, lab_of

NEIGHBOURS = (3, -3, 6, -6, 9, -9)
"""Frames that are compared with one."""
REACH = max(NEIGHBOURS)
_THRESHOLD, _SLOPE, _MOST = 28.0, 0.08, 4.0
"""Difference in Lab (sum over channels) that is as likely of the thing as of the ground, odds per unit, limit."""
_LEAST_THRESHOLD, _NOISE = 12.0, 2.5
"""Threshold where the ground is laid over itself without fault, and the threshold as a multiple of its faults."""
_INVERSE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class Region(NamedTuple):
    """A rectangle of a picture; its slices are of rows and of columns."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def grown(self, by: int, size: tuple[int, int]) -> Region:
        """The rectangle with a margin, inside a picture of a size."""
        rows = slice(max(0, self.rows.start - by), min(size[0], self.rows.stop + by))
        return Region(rows, slice(max(0, self.columns.start - by), min(size[1], self.columns.stop + by)))

    def within(self, other: Region) -> Region:
        """This rectangle in the coordinates of a larger one."""
        down, right = other.rows.start, other.columns.start
        rows = slice(self.rows.start - down, self.rows.stop - down)
        return Region(rows, slice(self.columns.start - right, self.columns.stop - right))


class Background:
    """Homographies of the background between frames, each computed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], np.ndarray] = {}

    def between(self, a: View, b: View, thing_HW: np.ndarray) -> np.ndarray:
        """Homography from a place in ``a`` to its place in ``b``, 3 x 3, found outside of ``thing_HW`` of ``a``."""
        pair = a.number, b.number
        if pair not in self._known:
            self._known = {known: matrix for known, matrix in self._known.items() if abs(known[0] - a.number) <= REACH}
            self._known[pair] = matrix = _homography(a.grey_HW, b.grey_HW, thing_HW)
            self._known[pair[::-1]] = np.linalg.inv(matrix)
        return self._known[pair]

    def evidence(self, window: Window, part: Region, around_HW: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
        """Log-odds that pixels of ``part`` are no background, float32 (r, c), within +-4; 0 where nothing is known.

        Args:
          window: the frame and its neighbours.
          part: where to look.
          around_HW: box of the thing, bool; the background's movement is taken from outside of it.
          mask_HW: roughly the pixels of the thing, bool.
        """
        now = window.now
        wide = part.grown(4 + int(0.35 * max(part.shape)), now.size)
        inner = part.within(wide)
        marks_N12 = _marks(now.grey_HW, mask_HW)
        differences, known = [], []
        for step in NEIGHBOURS:
            other = window.views.get(now.number + step)
            if other is None:
                continue
            matrix = self.between(now, other, around_HW)
            difference, covered = _laid_over(now, other, matrix, wide, around_HW[wide])
            hidden_HW = _hidden(now, other, matrix, marks_N12, mask_HW)
            differences.append(difference[inner])
            known.append((covered & ~hidden_HW[wide])[inner])
        if not differences:
            return np.zeros(part.shape, np.float32)
        return _odds(np.array(differences), np.array(known))


def _odds(differences: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Log-odds of the smaller third of the differences that are known."""
    differences = np.sort(np.where(known, differences, np.inf), axis=0)
    count = known.sum(axis=0)
    place = np.minimum(count // 3, len(differences) - 1)
    chosen = np.take_along_axis(differences, place[None], axis=0)[0]
    odds = np.clip(_SLOPE * (np.where(np.isfinite(chosen), chosen, 0) - _THRESHOLD), -_MOST, _MOST)
    return np.where(count > 0, odds, 0).astype(np.float32)


def _homography(grey_HW: np.ndarray, other_HW: np.ndarray, thing_HW: np.ndarray) -> np.ndarray:
    """The background's homography by corners outside of a thing, the identity where there are too few."""
    outside_HW = (~thing_HW).astype(np.uint8) * 255
    corners = cv2.goodFeaturesToTrack(grey_HW, 400, 0.005, 5, mask=outside_HW)
    if corners is None or len(corners) < 12:
        return np.eye(3)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        grey_HW, other_HW, corners, cast(Any, None), winSize=(21, 21), maxLevel=4
    )
    kept = found.ravel() > 0
    if kept.sum() < 12:
        return np.eye(3)
    cv2.setRNGSeed(0)
    matrix, _ = cv2.findHomography(corners[kept], moved[kept], cv2.RANSAC, 2.0)
    return np.eye(3) if matrix is None or abs(np.linalg.det(matrix)) < 1e-6 else matrix


def _laid_over(
    now: View, other: View, matrix: np.ndarray, wide: Region, around: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Difference of a neighbour's background from the frame, sum over Lab, and where the neighbour has a picture."""
    height, width = wide.shape
    to_part = matrix @ np.array([[1, 0, wide.columns.start], [0, 1, wide.rows.start], [0, 0, 1]], float)
    laid = cv2.warpPerspective(other.rgb_HWC, to_part, (width, height), flags=_INVERSE, borderMode=cv2.BORDER_REPLICATE)
    full = np.full(now.size, 255, np.uint8)
    covered = cv2.warpPerspective(full, to_part, (width, height), flags=_INVERSE) == 255
    rest = dis_flow(now.grey_HW[wide], cv2.cvtColor(laid, cv2.COLOR_RGB2GRAY))
    weight = (~around).astype(np.float32)
    blur = max(6.0, 0.15 * float(np.sqrt(around.sum())))
    total = cv2.GaussianBlur(weight, (0, 0), blur) + 1e-4
    smooth = cv2.GaussianBlur(rest * weight[..., None], (0, 0), blur) / total[..., None]
    rest = np.where(around[..., None], smooth, rest).astype(np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    laid = cv2.remap(laid, x + rest[..., 0], y + rest[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = np.abs(lab_of(laid) - now.lab_HWC[wide]).sum(axis=-1)
    return difference * (_THRESHOLD / _threshold(difference[covered & ~around])), covered


def _threshold(ground: np.ndarray) -> float:
    """The difference that separates thing and ground, by the differences of ground that is laid over itself."""
    if len(ground) < 50:
        return _THRESHOLD
    return float(np.clip(_NOISE * np.percentile(ground, 80), _LEAST_THRESHOLD, _THRESHOLD))


def _marks(grey_HW: np.ndarray, mask_HW: np.ndarray) -> np.ndarray | None:
    """Corners of the thing, to be found again in other frames."""
    if not mask_HW.any():
        return None
    return cv2.goodFeaturesToTrack(grey_HW, 80, 0.003, 2, mask=mask_HW.astype(np.uint8) * 255)


def _hidden(
    now: View, other: View, matrix: np.ndarray, marks_N12: np.ndarray | None, mask_HW: np.ndarray
) -> np.ndarray:
    """Ground that the thing covers in the neighbour, bool (H, W): its mask, moved as it moves against the ground."""
    cover_HW = mask_HW.astype(np.uint8)
    if marks_N12 is not None:
        there, found, _ = cv2.calcOpticalFlowPyrLK(
            now.grey_HW, other.grey_HW, marks_N12, cast(Any, None), winSize=(15, 15), maxLevel=3
        )
        kept = found.ravel() > 0
        if kept.sum() >= 3:
            ground = cv2.perspectiveTransform(there[kept], np.linalg.inv(matrix))
            x, y = np.median((ground - marks_N12[kept]).reshape(-1, 2), axis=0)
            move = np.array([[1, 0, x], [0, 1, y]], np.float32)
            cover_HW = cv2.warpAffine(cover_HW, move, (mask_HW.shape[1], mask_HW.shape[0]))
    return cv2.dilate(cover_HW, np.ones((3, 3), np.uint8)) > 0
