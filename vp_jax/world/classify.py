"""Names the colour and the shape of a thing in drawn pictures: does an edit show what was requested?

No model is involved. Pixels vote for the colour nearest to their hue. The pixels of the winning hue are an outline,
which is compared with every shape at many angles; all frames together decide. Tested on the truth, in
``tests/world/test_classify.py``.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from vp_jax.world.lit.outlines import LIT_DISTANCES
from vp_jax.world.lit.palette import LIT_RGB

_CHROMA = 0.38
"""Least difference between the largest and the smallest channel of a thing's pixel, in units of that of its colour.

A pixel of its pattern in its own shadow has as much; backgrounds of a similar hue have less.
"""
_LEAST = 0.004
"""Least part of the picture, on average over the frames, that counts as a thing."""
_GRID, _ANGLES, _RADIUS = 24, 36, 1.15
"""Outlines are compared on a grid of points, at angles in steps of 10 degrees, within this many radii."""


class Seen(NamedTuple):
    """What is visible: a colour of `vp_jax.world.scene.COLOURS`, and one of `vp_jax.world.scene.SHAPES`."""

    colour: str
    shape: str


def classify(frames_FHWC: np.ndarray, region_FHW: np.ndarray) -> Seen | None:
    """Name what is visible in a region.

    Args:
      frames_FHWC: uint8 RGB of the lit look.
      region_FHW: bool or {0, 1}, where to look: the hole of an edit, or the mask of a thing.

    Returns:
      Colour and shape of the thing that fills most of the region, or None if there is only background.
    """
    hues_FHW = _hues(frames_FHWC)
    hues_FHW[region_FHW == 0] = -1
    votes = np.bincount(hues_FHW[hues_FHW >= 0], minlength=len(LIT_RGB))
    if votes.max() < _LEAST * hues_FHW.size:
        return None
    found = int(votes.argmax())
    return Seen(list(LIT_RGB)[found], _shape(hues_FHW == found))


def _hue(rgb: np.ndarray) -> np.ndarray:
    """Hue of colours (..., 3) as points (..., 2) on a circle of radius 1, and chroma as its unscaled radius."""
    red, green, blue = (rgb[..., channel].astype(np.float32) for channel in range(3))
    across, up = red - (green + blue) / 2, (green - blue) * np.float32(math.sqrt(0.75))
    return np.stack([across, up], axis=-1)


def _hues(frames_FHWC: np.ndarray) -> np.ndarray:
    """Number of the colour with the nearest hue, int64 FHW; -1 where a pixel has little colour."""
    colours = np.array(list(LIT_RGB.values()))
    named = _hue(colours)
    named /= np.linalg.norm(named, axis=-1, keepdims=True)
    hues_FHW: np.ndarray = (_hue(frames_FHWC) @ named.T).argmax(-1)
    hues_FHW[np.ptp(frames_FHWC, -1) < _CHROMA * np.ptp(colours, -1)[hues_FHW]] = -1
    return hues_FHW


def _shape(outline_FHW: np.ndarray) -> str:
    """Shape that agrees best with outlines, over all frames, at the best angle in each."""
    templates = _templates()
    scores = np.zeros(len(LIT_DISTANCES))
    for outline_HW in outline_FHW:
        area = int(outline_HW.sum())
        if area >= 12:
            sample = _normalised(outline_HW)
            both = templates @ sample
            either = templates.sum(-1) + sample.sum() - both
            scores += area * (both / either).max(1)
    return list(LIT_DISTANCES)[int(scores.argmax())]


def _points() -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the grid, x and y, in units of the side of a square of the outline's area."""
    line = (np.arange(_GRID) + 0.5) / _GRID * 2 * _RADIUS - _RADIUS
    x, y = np.meshgrid(line, line)
    return x, y


def _normalised(outline_HW: np.ndarray) -> np.ndarray:
    """The outline about its middle, at a size at which its area is 1, on the grid, flat float32."""
    rows, columns = np.nonzero(outline_HW)
    side = math.sqrt(len(rows))
    x, y = _points()
    row, column = np.rint(y * side + rows.mean()).astype(int), np.rint(x * side + columns.mean()).astype(int)
    height, width = outline_HW.shape
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    sample: np.ndarray = outline_HW[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] & within
    return sample.astype(np.float32).ravel()


@functools.lru_cache(maxsize=1)
def _templates() -> np.ndarray:
    """Outlines of all shapes at all angles, normalised, (shapes, angles, points) float32."""
    line = np.linspace(-1.1, 1.1, 161)
    x, y = np.meshgrid(line, line)
    turns = np.arange(_ANGLES) * 2 * math.pi / _ANGLES
    return np.stack(
        [np.stack([_normalised(shape(*_turned(x, y, turn)) < 0) for turn in turns]) for shape in LIT_DISTANCES.values()]
    )


def _turned(x: np.ndarray, y: np.ndarray, turn: float) -> tuple[np.ndarray, np.ndarray]:
    return math.cos(turn) * x + math.sin(turn) * y, math.cos(turn) * y - math.sin(turn) * x
