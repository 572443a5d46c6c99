"""A soft mask from log-odds, smoothed along the picture: mean field of a grid of pixels that attract like pixels.

The energy is GrabCut's, with odds of any origin in the place of its colour models: neighbours of like colour want like
labels. Mean field takes it to probabilities in a few rounds of shifted sums (Kraehenbuehl and Koltun 2011 do the same
with long-range neighbours). Unlike a minimal cut it has no bias to short outlines, so thin parts survive.
"""

from __future__ import annotations

import numpy as np

_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
_STRENGTH, _CONTRAST, _ROUNDS = 1.5, 14.0, 6


def smoothed_odds(odds: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Probabilities (r, c) of log-odds (r, c) over a part of a picture in Lab (r, c, 3)."""
    pairs = [(*_overlap(shift, odds.shape), np.hypot(*shift)) for shift in _SHIFTS]
    weights = [
        np.exp(-((lab[first] - lab[second]) ** 2).sum(axis=-1) / (2 * _CONTRAST**2)) / length
        for first, second, length in pairs
    ]
    soft = _sigmoid(odds)
    for _ in range(_ROUNDS):
        pull, sign = np.zeros_like(odds), 2 * soft - 1
        for (first, second, _), weight in zip(pairs, weights):
            pull[first] += weight * sign[second]
            pull[second] += weight * sign[first]
        soft = _sigmoid(odds + _STRENGTH / 2 * pull)
    return soft


def _overlap(shift: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of each pixel that has a neighbour at a shift, and of that neighbour."""
    first = tuple(slice(max(0, -by), size - max(0, by)) for by, size in zip(shift, shape))
    second = tuple(slice(max(0, by), size - max(0, -by)) for by, size in zip(shift, shape))
    return first, second


def _sigmoid(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-odds)))
