"""What drawing a scene gives: pictures, and for each pixel the things on which its colour depends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rendered:
    """Frames of a scene, with labels.

    Attributes:
      frames_FHWC: uint8 RGB.
      labels_FHW: uint8, i + 1 where thing i is the front-most one that covers more than half of the pixel, otherwise 0.
      touched_FHW: uint8, bit i is set where thing i itself contributes to the colour of the pixel, edges included.
      reached_FHW: uint8, bit i is set where thing i or its shadow does.
    """

    frames_FHWC: np.ndarray
    labels_FHW: np.ndarray
    touched_FHW: np.ndarray
    reached_FHW: np.ndarray

    def mask(self, thing: int) -> np.ndarray:
        """Masks FHW uint8 {0, 1} of a thing without its shadow: what a tracker of objects gives."""
        return (self.touched_FHW >> thing) & 1

    def reach(self, thing: int) -> np.ndarray:
        """Masks FHW uint8 {0, 1} of a thing with its shadow: no pixel outside of them depends on the thing."""
        return (self.reached_FHW >> thing) & 1
