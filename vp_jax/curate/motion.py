"""Motion of a picture against the camera: dense flow to a neighbouring frame, less that of the background."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.segment.flow import carried, dis_flow

_STEP, _NEAR = 8, 0.7
"""Pixels between the places that the camera's motion is fitted to, and distance up to which a place agrees with it."""


class Motion(NamedTuple):
    """What moves in a picture.

    Attributes:
      flow_HW2: flow to the neighbour less the camera's, float32, in pixels.
      change_HW: difference of grey values from the neighbour laid over the picture by the camera's motion, float32;
        where it is small, the camera explains the neighbour and a flow means nothing: plain areas have none to see.
    """

    flow_HW2: np.ndarray
    change_HW: np.ndarray


def motion_between(frame_HWC: np.ndarray, neighbour_HWC: np.ndarray) -> Motion:
    """What moves in a frame against a neighbour, both uint8 RGB of one size."""
    grey_HW, other_HW = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (frame_HWC, neighbour_HWC))
    flow_HW2 = dis_flow(grey_HW, other_HW, finest=False)
    camera_HW2 = camera_flow(flow_HW2)
    change_HW = cv2.absdiff(grey_HW, carried(other_HW, camera_HW2)).astype(np.float32)
    return Motion(flow_HW2 - camera_HW2, cv2.blur(change_HW, (5, 5)))


def camera_flow(flow_HW2: np.ndarray) -> np.ndarray:
    """Flow of the background, float32: of the homography that most of the flow agrees with, or the median flow."""
    height, width = flow_HW2.shape[:2]
    x_HW, y_HW = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places_HW2 = np.stack([x_HW, y_HW], axis=-1)
    chosen = np.s_[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP]
    here, there = (part.reshape(-1, 2) for part in (places_HW2[chosen], (places_HW2 + flow_HW2)[chosen]))
    matrix = None
    if len(here) >= 12:
        cv2.setRNGSeed(0)
        matrix, _ = cv2.findHomography(here, there, cv2.RANSAC, _NEAR)
    if matrix is None:
        return np.broadcast_to(np.median(flow_HW2, axis=(0, 1)), flow_HW2.shape).astype(np.float32)
    return cv2.perspectiveTransform(places_HW2.reshape(-1, 1, 2), matrix).reshape(height, width, 2) - places_HW2
