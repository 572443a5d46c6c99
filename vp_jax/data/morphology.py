"""Binary morphology with a square kernel, in OpenCV's conventions (default anchor ``size // 2``, outside ignored).

For an even size the kernel reaches ``size/2`` pixels back and ``size/2 - 1`` forward, for dilation and erosion alike
(it is not reflected): a 32 x 32 dilation grows a mask by 15 pixels to the left and top, by 16 to the right and bottom,
and a closing comes out shifted by one pixel. The released weights saw masks made so.
"""

from __future__ import annotations

import numpy as np


def _running_max(mask_HW: np.ndarray, size: int, axis: int) -> np.ndarray:
    """``out[i] = max(mask[i - size//2 : i - size//2 + size])`` along an axis, zeros outside."""
    before = size // 2
    pad = [(0, 0), (0, 0)]
    pad[axis] = (before, size - 1 - before)
    window = np.swapaxes(np.pad(mask_HW, pad), 0, axis)
    length, width = mask_HW.shape[axis], 1
    while width < size:  # doubling: a window of 32 is five maxima, not thirty-one
        step = min(width, size - width)
        window = np.maximum(window[:-step], window[step:])
        width += step
    return np.swapaxes(window[:length], 0, axis)


def opencv_dilate(mask_HW: np.ndarray, size: int = 32) -> np.ndarray:
    """Maximum over a ``size`` x ``size`` window; mask uint8 {0, 1}."""
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    if not len(rows):
        return mask_HW.copy()
    # nothing changes farther from the object than the kernel reaches
    top, left = max(0, rows[0] - size), max(0, columns[0] - size)
    box = np.s_[top : rows[-1] + size + 1, left : columns[-1] + size + 1]
    out_HW = np.zeros_like(mask_HW)
    out_HW[box] = _running_max(_running_max(mask_HW[box], size, 1), size, 0)
    return out_HW


def opencv_erode(mask_HW: np.ndarray, size: int = 32) -> np.ndarray:
    """Minimum over a ``size`` x ``size`` window, pixels outside the image counting as 1."""
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    if not len(rows):
        return mask_HW.copy()
    H, W = mask_HW.shape
    top, bottom = max(0, rows[0] - size), min(H, rows[-1] + size + 1)
    left, right = max(0, columns[0] - size), min(W, columns[-1] + size + 1)
    holes = 1 - mask_HW[top:bottom, left:right]
    out_HW = np.zeros_like(mask_HW)
    # the box's border is the image's, whose outside counts as 1, or all background: padding with 1 is right for both
    out_HW[top:bottom, left:right] = 1 - _running_max(_running_max(holes, size, 1), size, 0)
    return out_HW


def smooth(mask_HW: np.ndarray) -> np.ndarray:
    """3 x 3 Gaussian (1/4, 1/2, 1/4) of the {0, 1} mask, rounded to integers: pixels that keep half the weight."""
    padded = np.pad(mask_HW, 1, mode="reflect")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    sums = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]  # at most 16: still fits uint8
    result: np.ndarray = (sums >= 8).astype(np.uint8)
    return result
