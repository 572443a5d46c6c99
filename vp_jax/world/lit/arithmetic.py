"""Arithmetic that gives the same bits on every machine.

IEEE 754 fixes the results of + - * /, square roots, floor, minimum and maximum to the last bit, but not those of sines
and exponentials, which differ between processors and versions of NumPy. So maps of pixels are made of the former only.
Values per frame may use the latter: they are calculated in float64 and rounded to a grid much coarser than their error.
"""

from __future__ import annotations

import numpy as np

GRID = 2.0**-20


def on_grid(x: np.ndarray | float) -> np.ndarray:
    """Round to multiples of `GRID`, float64."""
    result: np.ndarray = np.rint(np.asarray(x, np.float64) / GRID) * GRID
    return result


def wave(turns: np.ndarray) -> np.ndarray:
    """A sine of ``turns`` full turns, to 0.1 %, from parabolas."""
    x = 2 * (turns - np.floor(turns)) - 1  # -1 to 1 is half a turn to each side of the middle
    parabola = -4 * x * (1 - np.abs(x))
    result: np.ndarray = parabola * (0.775 + 0.225 * np.abs(parabola))
    return result


def soft_step(x: np.ndarray) -> np.ndarray:
    """Smooth step: 0 up to 0, 1 from 1 on."""
    x = np.clip(x, 0, 1)
    result: np.ndarray = x * x * (3 - 2 * x)
    return result


def line_cover(x: np.ndarray, width: float, pixel: np.ndarray) -> np.ndarray:
    """Part of a pixel that lies in periodic lines, each from 0 to ``width`` of a period of 1.

    Args:
      x: middles of pixels, in periods, float64.
      width: width of a line, 0 to 1.
      pixel: width of a pixel in periods, of a shape that broadcasts with ``x``.
    """
    low, high = x - pixel / 2, x + pixel / 2
    inside = _inked(high, width) - _inked(low, width)
    result: np.ndarray = np.clip(inside / pixel, 0, 1)
    return result


def _inked(x: np.ndarray, width: float) -> np.ndarray:
    """Length of the lines between 0 and ``x``."""
    full = np.floor(x)
    result: np.ndarray = full * width + np.minimum(x - full, width)
    return result
