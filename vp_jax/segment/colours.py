"""What a thing and its surroundings look like: samples of colour and place, compared by nearest neighbours.

A sample is a pixel's Lab colour (lightly blurred) and its place relative to the thing's box, so that a white shirt is
expected at the top and not at the wheels. The samples of the prompted frame stay; later ones replace each other.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from vp_jax.segment.background import Region

_PLACE, _WIDTH, _MOST = 28.0, 14.0, 2.5
"""Lab units that one box size of distance counts as, Lab units that count as one standard deviation, limit of odds."""
_FAR = 80.0
_KEPT = 3
"""Recent frames whose samples are kept."""


class Appearance:
    """Samples of a thing and of what is around it."""

    def __init__(self) -> None:
        self._inside: list[np.ndarray] = []
        self._outside: list[np.ndarray] = []
        self._random = np.random.default_rng(0)

    def learn(self, features: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> None:
        """Take samples of a frame.

        Args:
          features: of the pixels of a part, (r, c, 5), see `features_of`.
          inside: pixels that are surely of the thing, bool (r, c).
          outside: pixels that are surely not.
        """
        if inside.sum() > 10:
            self._inside = [*self._inside[:1], *self._inside[1:][-_KEPT:], self._some(features[inside], 500)]
        if outside.sum() > 10:
            self._outside = [*self._outside[-_KEPT:], self._some(features[outside], 1500)]

    def begin(self, features: np.ndarray, inside: np.ndarray) -> None:
        """Take samples of a prompted frame, which stay; its surroundings are forgotten."""
        self._inside, self._outside = [self._some(features[inside], 1200)], []
        self.learn(features, np.zeros_like(inside), ~inside)

    def odds(self, features: np.ndarray, place: float = 1.0) -> np.ndarray:
        """Log-odds that pixels belong to the thing, within +-2.5, shaped as ``features`` without its last axis.

        Args:
          features: see `features_of`.
          place: how much places count beside colours.
        """
        if not self._inside or not self._outside:
            return np.zeros(features.shape[:-1], np.float32)
        weight = np.array([1, 1, 1, place, place], np.float32)
        flat = features.reshape(-1, features.shape[-1]) * weight
        near, far = (_distance(np.concatenate(samples) * weight, flat) for samples in (self._inside, self._outside))
        odds = np.clip((far**2 - near**2) / (2 * _WIDTH**2), -_MOST, _MOST)
        return np.asarray(odds.reshape(features.shape[:-1]), np.float32)

    def _some(self, samples: np.ndarray, count: int) -> np.ndarray:
        return samples[self._random.permutation(len(samples))[:count]]


def features_of(lab_HWC: np.ndarray, part: Region, centre: np.ndarray, scale: float) -> np.ndarray:
    """Colour and relative place of the pixels of a part, float32 (r, c, 5).

    Args:
      lab_HWC: the frame.
      part: of it.
      centre: of the thing, x and y.
      scale: geometric mean of the sides of its box.
    """
    colour = cv2.GaussianBlur(np.ascontiguousarray(lab_HWC[part]), (0, 0), 1.0)
    x = (np.arange(part.columns.start, part.columns.stop) - centre[0]) / scale
    y = (np.arange(part.rows.start, part.rows.stop) - centre[1]) / scale
    place = np.stack(np.meshgrid(x, y), axis=-1) * _PLACE
    return np.concatenate([colour, place], axis=-1).astype(np.float32)


def told_apart(features: np.ndarray, mask: np.ndarray) -> float:
    """How well colours alone tell a thing from its surroundings, 0.5 (not at all) to 1 (every pixel).

    Each pixel is given to the majority of its five nearest colours among samples of both; the mean of the shares that
    are right, inside and outside.
    """
    random = np.random.default_rng(0)
    colours, labels = features[..., :3].reshape(-1, 3), mask.ravel()
    sides = [np.flatnonzero(labels == side) for side in (True, False)]
    if min(map(len, sides)) < 12:
        return 1.0
    chosen = np.concatenate([random.permutation(side)[:600] for side in sides])
    _, nearest = cKDTree(colours[chosen]).query(colours[chosen], 6)
    right = (labels[chosen][nearest[:, 1:]].mean(axis=1) > 0.5) == labels[chosen]
    return float(np.mean([right[labels[chosen] == side].mean() for side in (True, False)]))


def _distance(samples: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Mean distance to the three nearest samples, at most 80."""
    distance, _ = cKDTree(samples).query(features, 3, distance_upper_bound=_FAR)
    return np.asarray(np.minimum(distance, _FAR).mean(axis=1))
