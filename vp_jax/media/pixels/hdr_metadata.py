"""HDR metadata of a frame: the display that it was graded on, and its brightest light."""

from __future__ import annotations

from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type


class MasteringDisplay(NamedTuple):
    """The display that HDR was graded on (SMPTE ST 2086).

    Attributes:
      primaries: chromaticities x, y of red, green and blue.
      white: x, y of its white point.
      luminance: least and most, in cd/m2.
    """

    primaries: tuple[tuple[float, float], ...]
    white: tuple[float, float]
    luminance: tuple[float, float]


class ContentLight(NamedTuple):
    """Brightest pixel and brightest frame average of HDR, in cd/m2 (CTA-861.3)."""

    most: int
    average: int


def mastering_of(frame: av.VideoFrame) -> MasteringDisplay | None:
    """The mastering display of a frame: x, y of red, green, blue and white, then least and most light."""
    data = _side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    if data is None:
        return None
    *values, has_primaries, has_luminance = np.frombuffer(data, np.int32)
    if not (has_primaries and has_luminance):
        return None
    parts = [float(above / below) if below else 0.0 for above, below in np.reshape(values, (10, 2))]
    points = [(parts[i], parts[i + 1]) for i in range(0, 8, 2)]
    return MasteringDisplay(tuple(points[:3]), points[3], (parts[8], parts[9]))


def peak_of(frame: av.VideoFrame) -> float | None:
    """Peak of the mastering display in cd/m2, None where the frame states none."""
    mastering = mastering_of(frame)
    return None if mastering is None else mastering.luminance[1]


def content_light_of(frame: av.VideoFrame) -> ContentLight | None:
    """The brightest light of a video as its frame states it."""
    data = _side_data(frame, Type.CONTENT_LIGHT_LEVEL)
    return None if data is None else ContentLight(*(int(value) for value in np.frombuffer(data, np.uint32)[:2]))


def _side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    """Bytes of a frame's side data, None where there is none or PyAV does not know another kind in it."""
    try:
        side_data: Any = frame.side_data
        return bytes(side_data[kind])
    except (KeyError, ValueError):
        return None
