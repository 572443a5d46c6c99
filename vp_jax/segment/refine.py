"""What is done to masks afterwards: grow, shrink, fill, smooth in time, invert. All streaming, on bool (H, W)."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from scipy import ndimage

from vp_jax.errors import UserError
from vp_jax.media.masks import dilate

MOST = 1000
"""Pixels by which a mask grows or shrinks, and frames over which it is smoothed, at most."""


@dataclasses.dataclass(frozen=True)
class Refinement:
    """What is done to the masks of a video, in the order of the attributes.

    Attributes:
      smooth: frames on each side with which each pixel takes the majority's side; 0 changes nothing.
      fill: parts without the thing that the thing encloses become part of it.
      shrink: pixels taken off on each side.
      grow: pixels added on each side, with corners.
      invert: everything but the thing.
    """

    smooth: int = 0
    fill: bool = False
    shrink: int = 0
    grow: int = 0
    invert: bool = False

    def __post_init__(self) -> None:
        for name in ("smooth", "shrink", "grow"):
            if not 0 <= getattr(self, name) <= MOST:
                raise UserError(f"{name} {getattr(self, name)}: expected 0 to {MOST}")

    def applied(self, masks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The refined masks, bool (H, W), ``smooth`` frames later than they come in."""
        for mask_HW in smooth_in_time(masks, self.smooth) if self.smooth else masks:
            if self.fill:
                mask_HW = fill_enclosed(mask_HW)
            mask_HW = grow(shrink(mask_HW, self.shrink), self.grow)
            yield ~mask_HW if self.invert else mask_HW


def grow(mask_HW: np.ndarray, pixels: int) -> np.ndarray:
    """The mask with ``pixels`` more on each side, corners included; as ``--mask_dilate`` grows holes."""
    return dilate(mask_HW[None], pixels)[0] if pixels else mask_HW


def shrink(mask_HW: np.ndarray, pixels: int) -> np.ndarray:
    """The mask with ``pixels`` less on each side; the rim of the picture takes nothing off."""
    return ~dilate(~mask_HW[None], pixels)[0] if pixels else mask_HW


def fill_enclosed(mask_HW: np.ndarray) -> np.ndarray:
    """The mask with everything that it encloses."""
    return np.asarray(ndimage.binary_fill_holes(mask_HW), bool)


def smooth_in_time(masks: Iterable[np.ndarray], reach: int) -> Iterator[np.ndarray]:
    """Each pixel as most of its neighbours in time have it, ``reach`` frames on each side; ties stay as they are.

    Neighbours are not moved along with the picture: this takes flicker of single frames out of masks that move little
    from frame to frame.
    """
    held: collections.deque[np.ndarray] = collections.deque()
    done = 0
    for read, mask_HW in enumerate(masks):
        held.append(np.asarray(mask_HW, bool))
        if read >= reach:
            yield _majority(held, done, read - len(held) + 1)
            done += 1
            if len(held) > 2 * reach:
                held.popleft()
    start = max(0, done - reach)
    while held and done - start < len(held):
        yield _majority(held, done, start)
        done += 1
        if done - start > reach:
            held.popleft()
            start += 1


def _majority(held: collections.deque[np.ndarray], number: int, start: int) -> np.ndarray:
    votes_HW = np.sum(held, axis=0, dtype=np.int32) * 2 - len(held)
    return np.where(votes_HW == 0, held[number - start], votes_HW > 0)


def outline_of(mask_HW: np.ndarray) -> np.ndarray:
    """The pixels of a mask that touch its outside, bool (H, W)."""
    inner_HW = cv2.erode(mask_HW.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    return np.asarray(mask_HW & (inner_HW == 0))
