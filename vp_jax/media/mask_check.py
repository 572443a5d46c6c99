"""What is odd about a mask, said before hours are spent on it.

A mask that is inverted, that flickers or that is sprinkled with specks gives a result that nobody asked for, and each
peer's users report it as a fault of the model. Nothing here changes a mask; the sentences say what was found and where.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.media.packed_holes import equal_holes
from vp_jax.media.pixel_box import box_around

INVERTED = 0.85
"""Share of all pixels from which on a mask is asked about."""
SPECK = 0.0004
"""Share of the picture under which a separate part of a hole is a speck: 12 x 12 pixels of 480 x 720."""
APART = 0.06
"""Share of the picture's shorter side by which a speck is away from larger parts; spokes of a wheel are nearer."""
JUMP = 3.0
"""Factor between the areas of neighbouring frames that counts as a jump."""


class MaskCheck(NamedTuple):
    """Findings of a mask.

    Attributes:
      area_F: share of each frame that is hole, 0 to 1.
      notes: sentences for people, the gravest first; empty if nothing is odd.
      frames: numbers of frames that show what the sentences speak of.
    """

    area_F: np.ndarray
    notes: tuple[str, ...]
    frames: tuple[int, ...]


class _Frame(NamedTuple):
    """One frame: area as a share, number of specks, and parts that overlap no hole of the frame before."""

    area: float
    specks: int
    apart_before: bool


def check_masks(holes_FHW: Iterable[np.ndarray]) -> MaskCheck:
    """Look at the holes of a video, frame by frame.

    Args:
      holes_FHW: bool, True = generated; an array or any iterable of frames, read once.
    """
    frames: list[_Frame] = []
    previous_HW: np.ndarray | None = None
    for hole_HW in holes_FHW:
        if previous_HW is not None and equal_holes(hole_HW, previous_HW):
            frames.append(frames[-1]._replace(apart_before=False))
        else:
            frames.append(_look(hole_HW, previous_HW))
        previous_HW = hole_HW
    area_F = np.array([frame.area for frame in frames])
    found = [_inverted(area_F), _full(area_F), _gaps(area_F), _jumps(area_F, frames), _specks(frames)]
    kept = [finding for finding in found if finding]
    shown = sorted({number for _, numbers in kept for number in numbers})
    return MaskCheck(area_F, tuple(note for note, _ in kept), tuple(shown))


def _look(hole_HW: np.ndarray, previous_HW: np.ndarray | None) -> _Frame:
    area = np.count_nonzero(hole_HW) / hole_HW.size
    if not area:
        return _Frame(area, 0, apart_before=False)
    around = box_around(hole_HW, 0).span
    specks = _specks_in(hole_HW, around) if area < 1 else 0
    apart = previous_HW is not None and not (hole_HW[around] & previous_HW[around]).any() and bool(previous_HW.any())
    return _Frame(area, specks, apart)


def _specks_in(hole_HW: np.ndarray, around: tuple[slice, slice]) -> int:
    """Small parts of a hole, all of it within the rows and columns ``around``, that are away from its larger ones."""
    parts, parts_HW = cv2.connectedComponents(hole_HW[around].astype(np.uint8), connectivity=8)
    if parts == 2:  # what is no hole, and a single part
        return 0
    large = np.bincount(parts_HW.ravel(), minlength=parts) >= max(4, SPECK * hole_HW.size)
    large[0] = False
    if not large.any() or large[1:].all():
        return 0
    reach = 2 * round(APART * min(hole_HW.shape)) + 1
    near_HW = cv2.dilate(large[parts_HW].view(np.uint8), np.ones((reach, reach), np.uint8))
    return int(parts) - 1 - len(np.setdiff1d(parts_HW[near_HW > 0], [0]))


_Finding = tuple[str, Sequence[int]] | None


def _inverted(area_F: np.ndarray) -> _Finding:
    if area_F.mean() < INVERTED:
        return None
    return (
        f"{_percent(area_F.mean())} of all pixels are marked: is the mask inverted? `invert_mask` turns it round",
        [int(area_F.argmax())],
    )


def _full(area_F: np.ndarray) -> _Finding:
    full = np.flatnonzero(area_F == 1)
    if not len(full) or len(full) == len(area_F):
        return None
    return f"{_frames(full)} marked completely: nothing of the source is kept there", full.tolist()


def _gaps(area_F: np.ndarray) -> _Finding:
    """Frames without a hole between frames with one, as when a tracker loses its object for a moment."""
    marked = area_F > 0
    empty = np.flatnonzero(~marked)
    short = [
        numbers
        for numbers in np.split(empty, 1 + np.flatnonzero(np.diff(empty) > 1))
        if 0 < len(numbers) <= 3 and numbers[0] > 0 and numbers[-1] + 1 < len(marked)
    ]
    if not short:
        return None
    found = np.concatenate(short)
    return f"{_frames(found)} without a hole, their neighbours have one: the source shows there", found.tolist()


def _jumps(area_F: np.ndarray, frames: Sequence[_Frame]) -> _Finding:
    """Frames whose hole is another one than that of the frame before."""
    before, after = area_F[:-1], area_F[1:]
    both = (before > 0) & (after > 0)
    ratio = np.divide(np.maximum(before, after), np.minimum(before, after), out=np.ones_like(before), where=both)
    jumps = 1 + np.flatnonzero((ratio > JUMP) | np.array([frame.apart_before for frame in frames[1:]], bool))
    if not len(jumps):
        return None
    return (
        f"the hole jumps at {_frames(jumps, verb=False)}: another place or size than one frame before",
        jumps.tolist(),
    )


def _specks(frames: Sequence[_Frame]) -> _Finding:
    with_specks = np.array([number for number, frame in enumerate(frames) if frame.specks], int)
    total = sum(frame.specks for frame in frames)
    if not total:
        return None
    where = _frames(with_specks, verb=False)
    return f"{total} specks beside larger holes, in {where}: noise of the mask?", with_specks.tolist()


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _frames(numbers: np.ndarray, *, verb: bool = True) -> str:
    """``frame 3 is``, ``frames 3 to 7 are``, ``frames 3, 9, 12 and 4 more are``; without ``verb`` the numbers alone."""
    count = len(numbers)
    if count == 1:
        return f"frame {numbers[0]}" + (" is" if verb else "")
    if numbers[-1] - numbers[0] == count - 1:
        text = f"frames {numbers[0]} to {numbers[-1]}"
    elif count <= 4:
        text = f"frames {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    else:
        text = f"frames {', '.join(map(str, numbers[:3]))} and {count - 3} more"
    return text + (" are" if verb else "")
