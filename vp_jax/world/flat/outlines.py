"""Shapes of the drawn world as signed distances: negative inside, positive outside, 0 on the outline.

Each function takes coordinates in units of the radius, x to the right and y down; its shape lies within the disc of
radius 1. Distances are exact near the outline, and a little too small near corners and far away.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Field = np.ndarray
"""Coordinates or distances, of any shape."""


def _disc(x: Field, y: Field, radius: float) -> Field:
    result: Field = np.sqrt(x * x + y * y) - np.float32(radius)
    return result


def _box(x: Field, y: Field, half_x: float, half_y: float) -> Field:
    right, below = np.abs(x) - half_x, np.abs(y) - half_y
    outside = np.hypot(np.maximum(right, 0), np.maximum(below, 0))
    result: Field = outside + np.minimum(np.maximum(right, below), 0)
    return result


def circle(x: Field, y: Field) -> Field:
    """Disc."""
    return _disc(x, y, 0.95)


def square(x: Field, y: Field) -> Field:
    """Square with rounded corners."""
    return _box(x, y, 0.63, 0.63) - 0.1


def triangle(x: Field, y: Field) -> Field:
    """Triangle pointing up, with corners cut off by a disc."""
    low = y - 0.06
    sides = np.maximum(low, math.sqrt(0.75) * np.abs(x) - 0.5 * low) - 0.54
    result: Field = np.maximum(sides, _disc(x, low, 0.94))
    return result


def star(x: Field, y: Field) -> Field:
    """Star of five points. Folded into a tenth of the circle, its outline is one straight line from point to notch."""
    tenth = math.pi / 5
    turn = np.abs((np.arctan2(x, -y) + tenth) % (2 * tenth) - tenth)
    far = np.sqrt(x * x + y * y)
    notch_x, notch_y = 0.62 * math.cos(tenth), 0.62 * math.sin(tenth)
    length = math.hypot(1 - notch_x, notch_y)
    normal_x, normal_y = notch_y / length, (1 - notch_x) / length
    result: Field = far * np.cos(turn) * normal_x + far * np.sin(turn) * normal_y - normal_x
    return result


def heart(x: Field, y: Field) -> Field:
    """Heart: a square standing on a corner, with two discs on its upper sides."""
    x, y, side = np.abs(x), y + 0.05, 0.48
    half = math.sqrt(0.5)
    tilted = _box(half * (x + y), half * (y - x), side, side)
    result: Field = np.minimum(tilted, _disc(x - half * side, y + half * side, side))
    return result


def ring(x: Field, y: Field) -> Field:
    """Disc with a hole in the middle."""
    result: Field = np.abs(_disc(x, y, 0.63)) - 0.32
    return result


def cross(x: Field, y: Field) -> Field:
    """Upright cross with rounded corners."""
    result: Field = np.minimum(_box(x, y, 0.84, 0.32), _box(x, y, 0.32, 0.84)) - 0.08
    return result


def moon(x: Field, y: Field) -> Field:
    """Crescent: a disc without a smaller disc on its right."""
    result: Field = np.maximum(_disc(x, y, 0.95), -_disc(x - 0.66, y + 0.12, 0.64))
    return result


DISTANCES: dict[str, Callable[[Field, Field], Field]] = {
    shape.__name__: shape for shape in (circle, square, triangle, star, heart, ring, cross, moon)
}
"""Signed distance of every shape by its name."""
