"""The words that need no model: one colour, as in ``the red circle``. Nothing else of the phrase is understood.

The largest patch of that colour in the frame is taken for the thing, and its box becomes the prompt. Where two things
share a colour, or the thing has several, give a box or use a model that understands words.
"""

from __future__ import annotations

import re

import cv2
import numpy as np

from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.segment.prompts import Box

HUES = {
    "red": (345, 14),
    "orange": (15, 40),
    "yellow": (41, 68),
    "green": (69, 160),
    "cyan": (161, 200),
    "blue": (201, 258),
    "purple": (259, 292),
    "pink": (293, 344),
}
"""First and last hue of each colour word, in degrees; red goes round."""
GREYS = ("black", "white")
LEAST_PART = 0.001
"""Share of the picture under which a patch is no thing."""


def colour_in(words: str) -> str | None:
    """The one colour word of a phrase; None if there is none, or several."""
    found = {word for word in re.findall(r"[a-z]+", words.lower()) if word in HUES or word in GREYS}
    return found.pop() if len(found) == 1 else None


def box_of_words(words: str, frame_HWC: np.ndarray, frame: int = 0, thing: int = 1) -> Box:
    """The box of the largest patch of the colour that words name, a little larger than the patch.

    Raises:
      UserError: no colour word, several, or nothing of that colour in the frame.
    """
    colour = colour_in(words)
    if colour is None:
        raise UserError(
            f"{show(words)}: without a model, words are understood only if they name one colour "
            f"({', '.join((*HUES, *GREYS))}); give box:x,y,w,h or points:x,y, or a backend that understands words"
        )
    patch = (_of_colour(frame_HWC, colour)).astype(np.uint8)
    patch = cv2.morphologyEx(patch, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, _, areas, _ = cv2.connectedComponentsWithStats(patch)
    if count < 2 or areas[1:, cv2.CC_STAT_AREA].max() < LEAST_PART * patch.size:
        raise UserError(f"{show(words)}: nothing {colour} is seen in frame {frame}; give box:x,y,w,h or points:x,y")
    x, y, width, height, _ = (int(value) for value in areas[1 + areas[1:, cv2.CC_STAT_AREA].argmax()])
    margin = max(2, round(0.04 * max(width, height)))
    return Box(x - margin, y - margin, width + 2 * margin, height + 2 * margin, frame, thing)


def _of_colour(frame_HWC: np.ndarray, colour: str) -> np.ndarray:
    """Pixels of a colour, bool (H, W)."""
    hue, saturation, value = np.moveaxis(cv2.cvtColor(np.ascontiguousarray(frame_HWC), cv2.COLOR_RGB2HSV), -1, 0)
    if colour in GREYS:
        return np.asarray(value < 50 if colour == "black" else (value > 200) & (saturation < 40))
    degrees = hue.astype(int) * 2
    first, last = HUES[colour]
    near = (degrees >= first) | (degrees <= last) if first > last else (degrees >= first) & (degrees <= last)
    return np.asarray(near & (saturation > 110) & (value > 60))
