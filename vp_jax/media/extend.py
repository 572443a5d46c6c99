"""Extending the picture of a video: a border of new pixels, which is a hole like any other.

    left=160,right=0,top=0,bottom=0      pixels on each side; what is left off is 0
    16:9                                 as many as the aspect needs, half on each side

What stands in the border until it is generated repeats the picture's rim, and where the rim is a hole the border is one
anyway; so a feather blends from the picture's own edge into what is generated, and every old pixel stays as it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple, overload

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.frames import Frames, mapped
from vp_jax.media.pixels.pixel_format import PixelFormat, Planes
from vp_jax.schema import check_number

SIDES = ("left", "right", "top", "bottom")
_EXPECTED = "expected sides such as left=160,right=160, or an aspect such as 16:9"


class Border(NamedTuple):
    """Pixels that are added on each side."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a picture with this border."""
        return self.top + height + self.bottom, self.left + width + self.right

    @overload
    def frames(self, frames_FHWC: np.ndarray) -> np.ndarray: ...
    @overload
    def frames(self, frames_FHWC: Frames) -> Frames: ...

    def frames(self, frames_FHWC: Frames) -> Frames:
        """Frames with their rim repeated into the border; an array of an array, else streamed."""
        if isinstance(frames_FHWC, np.ndarray):
            return np.pad(frames_FHWC, ((0, 0), *self._pads(), (0, 0)), mode="edge")
        size = self.size(*frames_FHWC.shape[1:3])
        return mapped(frames_FHWC, lambda _, frame_HWC: self.frames(frame_HWC[None])[0], (*size, 3))

    @overload
    def holes(self, holes_FHW: np.ndarray) -> np.ndarray: ...
    @overload
    def holes(self, holes_FHW: Frames) -> Frames: ...

    def holes(self, holes_FHW: Frames) -> Frames:
        """Holes, bool, of which the border is a part; an array of an array, else streamed.

        One hole that is seen in every frame stays one.
        """
        if not isinstance(holes_FHW, np.ndarray):
            return mapped(holes_FHW, lambda _, hole_HW: self.holes(hole_HW[None])[0], self.size(*holes_FHW.shape[1:]))
        if len(holes_FHW) > 1 and not holes_FHW.strides[0]:
            one_FHW = self.holes(holes_FHW[:1])
            return np.broadcast_to(one_FHW, (len(holes_FHW), *one_FHW.shape[1:]))
        return np.pad(holes_FHW, ((0, 0), *self._pads()), constant_values=True)

    def aligned(self, layout: PixelFormat, *, interlaced: bool = False) -> bool:
        """The planes of a layout can have this border with every old sample where it was."""
        rows, columns = layout.step
        rows *= 1 + interlaced
        return self.left % columns == 0 and self.top % rows == 0

    def planes(self, planes: Planes, layout: PixelFormat) -> Planes:
        """Planes of a frame with their rim repeated into the border, see `aligned`."""
        size = self.size(*planes[0].shape)
        out = []
        for plane, step in zip(planes, layout.steps):
            before = self.top // step[0], self.left // step[1]
            behind = (-(-full // pace) - near - old for full, pace, near, old in zip(size, step, before, plane.shape))
            out.append(np.pad(plane, tuple(zip(before, behind)), mode="edge"))
        return tuple(out)

    def _pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self.top, self.bottom), (self.left, self.right)


def border_of(text: str, height: int, width: int) -> Border:
    """The border that a text asks for.

    Args:
      text: sides or an aspect, see the module.
      height: of the picture.
      width: of the picture.

    Raises:
      UserError: another text, nothing to add, or a picture that grows too large.
    """
    border = _border(parsed(text), height, width)
    if not any(border):
        raise UserError(f"extend {text}: adds nothing to {width}x{height} pixels, leave it off")
    for name, size in zip(("height", "width"), border.size(height, width)):
        check_number(f"extended_{name}", size)
    return border


def parsed(text: str) -> Border | tuple[int, int]:
    """Sides, or the width and the height of an aspect.

    Raises:
      UserError: another text, a side twice, or a number out of its range.
    """
    if aspect := re.fullmatch(r"\s*(\d{1,5})\s*:\s*(\d{1,5})\s*", text):
        wide, high = int(aspect[1]), int(aspect[2])
        if not wide or not high:
            raise UserError(f"extend {text}: {_EXPECTED}")
        return wide, high
    sides: dict[str, int] = {}
    for part in text.split(","):
        name, sign, number = (piece.strip() for piece in part.partition("="))
        if name not in SIDES or not sign or not re.fullmatch(r"\d{1,9}", number) or name in sides:
            raise UserError(f"extend {text}: {_EXPECTED}")
        sides[name] = int(number)
        check_number("extend", sides[name])
    if not any(sides.values()):
        raise UserError(f"extend {text}: adds nothing, leave it off")
    return Border(**sides)


def _border(asked: Border | tuple[int, int], height: int, width: int) -> Border:
    if isinstance(asked, Border):
        return asked
    wide, high = asked
    if width * high < height * wide:  # even numbers on the near side: chroma samples stay where they are
        more = _even(-(-height * wide // high) - width)
        left = more // 4 * 2
        return Border(left=left, right=more - left)
    more = _even(-(-width * high // wide) - height)
    top = more // 4 * 2
    return Border(top=top, bottom=more - top)


def _even(number: int) -> int:
    return number + number % 2
