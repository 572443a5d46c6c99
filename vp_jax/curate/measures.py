"""Numbers of pictures by which clips are chosen: motion, sharpness, exposure, black bars, likeness.

Pictures are grey, uint8, scaled so that they have about `MEASURED_ROWS` rows: limits then hold for every size of video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from vp_jax.segment.flow import SMALLEST, dis_flow

MEASURED_ROWS = 120
"""Rows of the pictures that are measured."""
_DARK = 20
"""Grey value up to which a border is black: 16 is black of limited range, and encoders add noise."""
_HASH = (9, 8)


def measured_picture(frame_HWC: np.ndarray) -> np.ndarray:
    """A frame uint8 RGB as a grey picture uint8 HW of at most `MEASURED_ROWS` rows."""
    grey_HW = cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY)
    if grey_HW.shape[0] <= MEASURED_ROWS:
        return np.asarray(grey_HW)
    columns = max(1, round(grey_HW.shape[1] * MEASURED_ROWS / grey_HW.shape[0]))
    return np.asarray(cv2.resize(grey_HW, (columns, MEASURED_ROWS), interpolation=cv2.INTER_AREA))


def difference_hash(grey_HW: np.ndarray) -> str:
    """dHash: whether each of 8 x 8 cells is brighter than its left neighbour, 64 bits in hexadecimal.

    Scaling, encoding and brightness leave it nearly as it is.
    """
    small_HW = cv2.resize(grey_HW, _HASH, interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (small_HW[:, 1:] - small_HW[:, :-1] > 1).reshape(-1)
    return np.packbits(bits).tobytes().hex()


def largest_change(pictures: Sequence[np.ndarray]) -> float:
    """Largest mean difference of a picture from the first, in grey values [0, 255]; 0 for a still picture."""
    return max((float(cv2.absdiff(pictures[0], other).mean()) for other in pictures[1:]), default=0.0)


def black_bars(pictures: Sequence[np.ndarray]) -> float:
    """Share of rows and columns, in [0, 1], of bars at opposite borders that are black in every picture.

    Black pictures have no bars.
    """
    brightest_HW = np.max(np.stack(pictures), axis=0)
    share = 0.0
    for lines in (brightest_HW.max(axis=1), brightest_HW.max(axis=0)):
        bright = np.flatnonzero(lines > _DARK)
        if len(bright):
            before, after = int(bright[0]), len(lines) - 1 - int(bright[-1])
            share += 2 * min(before, after) / len(lines)
    return share


def sharpness(grey_HW: np.ndarray) -> float:
    """Variance of the Laplacian, in squared grey values; below about 20 a picture is blurred."""
    return float(cv2.Laplacian(grey_HW, cv2.CV_32F).var())


def clipped(grey_HW: np.ndarray) -> float:
    """Share of pixels in [0, 1] that are nearly black or nearly white: wrongly exposed."""
    return float(((grey_HW < 4) | (grey_HW > 251)).mean())


def motion(first_HW: np.ndarray, second_HW: np.ndarray, seconds: float) -> float:
    """Mean speed between two pictures, in widths of the picture per second."""
    if min(first_HW.shape) < SMALLEST:
        return float(cv2.absdiff(first_HW, second_HW).mean() / 255 / seconds)
    flow_HW2 = dis_flow(first_HW, second_HW, finest=False)
    return float(np.linalg.norm(flow_HW2, axis=-1).mean() / first_HW.shape[1] / seconds)


def clip_measures(
    pictures: Sequence[np.ndarray], pairs: Sequence[tuple[np.ndarray, np.ndarray]], seconds: float
) -> Mapping[str, float]:
    """All scores of a clip.

    Args:
      pictures: evenly sampled.
      pairs: neighbouring frames.
      seconds: between the frames of a pair.
    """
    scores = {
        "motion": float(np.mean([motion(first, second, seconds) for first, second in pairs])) if pairs else 0.0,
        "sharpness": float(np.median([sharpness(picture) for picture in pictures])),
        "brightness": float(np.mean([picture.mean() for picture in pictures])),
        "clipped": float(np.mean([clipped(picture) for picture in pictures])),
        "black_bars": black_bars(pictures),
        "change": largest_change(pictures),
    }
    return {name: round(value, 6) for name, value in scores.items()}
