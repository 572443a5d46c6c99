"""Dense optical flow between neighbouring frames (DIS, Kroeger et al. 2016, arXiv 1603.03590), and what it carries.

A flow ``flow_HW2`` from picture A to picture B says where each pixel of A is in B: ``B[y + v, x + u]`` is ``A[y, x]``.
`carried` draws a picture of B's time at A's time.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, cast

import cv2
import numpy as np

SMALLEST = 16
"""Pixels a side of the smallest picture that has a flow."""


class Flows(NamedTuple):
    """Flows between a frame and the frame before.

    Attributes:
      back_HW2: from the frame to the one before, float32, x and y in pixels.
      agree_HW: whether the flow there and back ends where it began, bool; False where something was covered.
    """

    back_HW2: np.ndarray
    agree_HW: np.ndarray


@functools.cache
def _dis(finest: bool) -> cv2.DISOpticalFlow:
    if not finest:
        return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(0)
    return dis


def flows_between(grey_HW: np.ndarray, before_HW: np.ndarray) -> Flows:
    """Flows of a frame against the frame before it, both grey, uint8, of one size.

    The check there and back allows an error of 1.5 pixels and a tenth of the movement (Sundaram et al. 2010).
    """
    back_HW2, there_HW2 = dis_flow(grey_HW, before_HW), dis_flow(before_HW, grey_HW)
    round_HW2 = back_HW2 + carried(there_HW2, back_HW2)
    error_HW = np.linalg.norm(round_HW2, axis=-1)
    agree_HW = error_HW < 1.5 + 0.1 * np.linalg.norm(back_HW2, axis=-1)
    return Flows(back_HW2, agree_HW)


def carried(picture: np.ndarray, flow_HW2: np.ndarray) -> np.ndarray:
    """``picture`` (H, W) or (H, W, C), drawn where ``flow_HW2`` points at, bilinear; the rim repeats outside."""
    height, width = flow_HW2.shape[:2]
    x_HW, y_HW = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = x_HW + flow_HW2[..., 0], y_HW + flow_HW2[..., 1]
    return cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def dis_flow(grey_HW: np.ndarray, other_HW: np.ndarray, finest: bool = True) -> np.ndarray:
    """Flow from a picture to another, float32 (H, W, 2) in pixels; none where they are too small to have one.

    Args:
      grey_HW: uint8.
      other_HW: the other, uint8, of the same size.
      finest: down to single pixels; otherwise OpenCV's medium preset, smoother and from half the size.
    """
    if min(grey_HW.shape) < SMALLEST:
        return np.zeros((*grey_HW.shape, 2), np.float32)
    pair = np.ascontiguousarray(grey_HW), np.ascontiguousarray(other_HW)
    return np.asarray(_dis(finest).calc(*pair, cast(Any, None)))
