"""A frame of a film as its decoder gives it."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av


class DecodedFrame(NamedTuple):
    """A frame as it is decoded.

    Attributes:
      number: from 0.
      frame: in the film's own pixel format.
      orientation: whether to exchange rows with columns, then to mirror left-right, then top-bottom, to show it.
      lossless: of the codec.
      pixel_shape: width to height of a stored pixel as the container states it, None if it does not.
    """

    number: int
    frame: av.VideoFrame
    orientation: tuple[bool, bool, bool]
    lossless: bool
    pixel_shape: Fraction | None
