"""Scene cuts: frames at which a film goes on with another picture, found by PySceneDetect's adaptive detector.

The detector compares hue, saturation and brightness of neighbouring frames, and calls a cut what stands out from the
frames around it; pans and quick motion do not (threshold 3, at least 15 grey levels, shots of at least 15 frames, as
PySceneDetect has them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

import cv2
import numpy as np

from vp_jax.errors import UserError

AUTO, OFF = "auto", "off"
"""Words that `check_cuts` knows beside numbers of frames."""

_LONGEST = 256
"""Pixels of the longer side at which frames are compared, as PySceneDetect reduces them."""


class CutFinder:
    """Takes the frames of a film in turn; after the last one, ``cuts`` are the frames that begin a shot."""

    def __init__(self) -> None:
        from scenedetect.common import FrameTimecode  # both take half a second to import
        from scenedetect.detectors import AdaptiveDetector

        self._detector, self._frames = AdaptiveDetector(), 0
        self._zero = FrameTimecode(0, Fraction(25))
        self._found: list[int] = []

    def add(self, frame_HWC: np.ndarray) -> None:
        """The next frame, uint8 RGB of any size."""
        height, width = frame_HWC.shape[:2]
        scale = _LONGEST / max(height, width)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            frame_HWC = cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA)
        found = self._detector.process_frame(self._zero + self._frames, frame_HWC[..., ::-1])
        self._found += [int(cut.frame_num) for cut in found]
        self._frames += 1

    @property
    def cuts(self) -> tuple[int, ...]:
        """Numbers of the frames that begin a shot, without frame 0."""
        return tuple(sorted({cut for cut in self._found if 0 < cut < self._frames}))


def find_cuts(frames_FHWC: Iterable[np.ndarray]) -> tuple[int, ...]:
    """The frames, uint8 RGB, that begin a shot, without frame 0."""
    finder = CutFinder()
    for frame_HWC in frames_FHWC:
        finder.add(frame_HWC)
    return finder.cuts


def cuts_text(cuts: Sequence[int], most: int = 12) -> str:
    """Numbers for people, the first ones of many."""
    text = ", ".join(map(str, cuts[:most]))
    return text + (f" and {len(cuts) - most} more" if len(cuts) > most else "")


def parsed_cuts(text: str) -> tuple[int, ...] | None:
    """What a user asks for: ``None`` to look for cuts, none for "off", or the numbers of frames, "48,120".

    Raises:
      UserError: neither.
    """
    if text in (AUTO, OFF):
        return None if text == AUTO else ()
    if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", text):
        raise UserError(f"cuts {text}: expected auto, off, or the frames that begin a shot, such as 48,120")
    return check_cuts([int(part) for part in text.split(",")])


def check_cuts(cuts: Sequence[int], frames: int | None = None) -> tuple[int, ...]:
    """The numbers of frames that begin a shot, checked.

    Args:
      cuts: the numbers.
      frames: of the video; ``None``: not known yet.

    Raises:
      UserError: they do not ascend, or are not within the video.
    """
    found = tuple(int(cut) for cut in cuts)
    if any(later <= cut for cut, later in zip((0, *found), found)):
        raise UserError(f"cuts {','.join(map(str, found))}: expected numbers of frames that ascend from 1 on")
    if frames is not None and found and found[-1] >= frames:
        raise UserError(f"cuts {','.join(map(str, found))}: the video has frames 0 to {frames - 1}")
    return found
