"""Shapes of the lit look as signed distances: negative inside, positive outside, 0 on the outline.

Each function takes coordinates in units of the radius, x to the right and y down; its shape lies within the disc of
radius 1. Distances are exact outside, and a little too small inside the cross and the star near their notches.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Corner = tuple[float, float]


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.sqrt(x * x + y * y)
    return result


def _box(x: np.ndarray, y: np.ndarray, half_x: float, half_y: float) -> np.ndarray:
    right, below = np.abs(x) - half_x, np.abs(y) - half_y
    outside = _length(np.maximum(right, 0), np.maximum(below, 0))
    result: np.ndarray = outside + np.minimum(np.maximum(right, below), 0)
    return result


def _folded(x: np.ndarray, y: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Reflect the plane into the sector between a point of an n-pointed shape, which is up, and the notch after it."""
    x = np.abs(x)
    for step in range(points // 2 + 1, 0, -1):
        normal_x, normal_y = math.cos(math.pi * step / points), math.sin(math.pi * step / points)
        beyond = np.maximum(x * normal_x + y * normal_y, 0)
        x, y = x - beyond * (2 * normal_x), y - beyond * (2 * normal_y)
    return x, y


def _side(x: np.ndarray, y: np.ndarray, start: Corner, end: Corner) -> np.ndarray:
    """Distance to a straight side, negative on its right for who walks it from start to end."""
    side_x, side_y = end[0] - start[0], end[1] - start[1]
    length = math.hypot(side_x, side_y)
    side_x, side_y = side_x / length, side_y / length
    x, y = x - start[0], y - start[1]
    along = np.clip(x * side_x + y * side_y, 0, length)
    far = _length(x - along * side_x, y - along * side_y)
    result: np.ndarray = np.where(x * side_y - y * side_x < 0, -far, far)
    return result


def _circle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _length(x, y) - 0.94


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _box(x, y, 0.57, 0.57) - 0.15


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = _folded(x, y - 0.1, 3)
    return _side(x, y, (0, -0.78), (0.39 * math.sqrt(3) / 2, -0.39 / 2)) - 0.14


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = _folded(x, y, 5)
    notch = 0.53
    return _side(x, y, (0, -0.92), (notch * math.sin(math.pi / 5), -notch * math.cos(math.pi / 5))) - 0.07


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A square on one of its corners, with a half disc on each of its upper sides."""
    x, side, half = np.abs(x), 1.02, math.sqrt(0.5)
    tip_y = 0.82
    dent_y, end = tip_y - side / half, (side * half, tip_y - side * half)
    disc = _length(x - end[0] / 2, y - (end[1] + dent_y) / 2) - side / 2
    below = _side(x, y, end, (0, tip_y))
    below = np.where(below < 0, np.maximum(below, -_length(x, y - dent_y)), below)
    result: np.ndarray = np.where(x - y + dent_y > 0, disc, below)
    return result


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.abs(_length(x, y) - 0.64) - 0.31
    return result


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.minimum(_box(x, y, 0.80, 0.25), _box(x, y, 0.25, 0.80)) - 0.11
    return result


def _moon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A disc without a smaller disc on its right: what is nearest is a point of either circle, or the tip of both."""
    radius, bite, apart = 0.94, 0.68, math.hypot(0.62, 0.12)
    axis_x, axis_y = 0.62 / apart, -0.12 / apart
    x, y = x * axis_x + y * axis_y, np.abs(y * axis_x - x * axis_y)
    tip_x = (radius**2 - bite**2 + apart**2) / (2 * apart)
    tip_y = math.sqrt(radius**2 - tip_x**2)
    outer, inner = _length(x, y) - radius, _length(x - apart, y) - bite
    to_outer = np.where(x * tip_y < y * tip_x, np.abs(outer), np.inf)
    to_inner = np.where((x - apart) * tip_y < y * (tip_x - apart), np.abs(inner), np.inf)
    far = np.minimum(np.minimum(to_outer, to_inner), _length(x - tip_x, y - tip_y))
    result: np.ndarray = np.where((outer < 0) & (inner > 0), -far, far)
    return result


LIT_DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "ring": _ring,
    "cross": _cross,
    "moon": _moon,
}
"""Signed distance of every shape by its name."""
