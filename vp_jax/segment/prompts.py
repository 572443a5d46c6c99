"""Prompts for tracked masks: where a thing is in one frame, or which words name it.

All positions are pixels of the frame: x to the right, y down, (0, 0) the top left corner. Frames count from 0. Things
are numbered from 1 to 255; thing k has label k. Prompts of one thing add up, on one frame or on several.

`parse_prompts` reads the texts of the command line::

    box:40,20,100,80                         a box
    points:60,40;80,50;-10,10                points inside, and one outside (minus before x)
    points:60,40@30                          on frame 30
    the red circle                           words
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

import cv2
import numpy as np

from vp_jax.errors import UserError
from vp_jax.reading import show

MOST_THINGS = 255
"""Labels are uint8, 0 marks none."""
_NUMBER = r"-?\d+(?:\.\d+)?"
_BOX = re.compile(rf"box:\s*({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})(?:@(\d+))?\s*")
_POINT = re.compile(r"(-?)(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)")
_POINTS = re.compile(r"points:\s*([^@]*)(?:@(\d+))?\s*")


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle that holds the thing: left edge, top edge, width and height."""

    x: float
    y: float
    width: float
    height: float
    frame: int = 0
    thing: int = 1


@dataclasses.dataclass(frozen=True)
class Point:
    """A pixel of the thing, or with ``inside=False`` a pixel that does not belong to it."""

    x: float
    y: float
    inside: bool = True
    frame: int = 0
    thing: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Scribble:
    """A line through the thing, or around it: ``points_N2`` are its corners, x and y."""

    points_N2: np.ndarray
    inside: bool = True
    frame: int = 0
    thing: int = 1


@dataclasses.dataclass(frozen=True)
class Words:
    """A noun phrase that names the thing wherever it is seen, such as ``the red car``."""

    text: str
    thing: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class FirstMask:
    """The thing's mask in one frame, bool (H, W)."""

    mask_HW: np.ndarray
    frame: int = 0
    thing: int = 1


Placed = Box | Point | Scribble | FirstMask
"""Prompts that belong to one frame."""
AnyPrompt = Placed | Words


def things_of(prompts: Sequence[AnyPrompt]) -> list[int]:
    """The numbers of the things that prompts speak of, ascending."""
    return sorted({prompt.thing for prompt in prompts})


def first_frame_of(prompts: Sequence[AnyPrompt], thing: int) -> int:
    """The first frame with a prompt of a thing; 0 for a thing that only words name."""
    return min((p.frame for p in prompts if p.thing == thing and not isinstance(p, Words)), default=0)


def check_prompts(prompts: Sequence[AnyPrompt]) -> None:
    """Check what can be checked without a picture.

    Raises:
      UserError: no prompt, a thing out of 1 to 255, a negative frame, a thing with nothing inside it, a box without
        area, empty words, or numbers that are not finite.
    """
    if not prompts:
        raise UserError("no prompt given: expected a box, points, a scribble, words or a first mask")
    for prompt in prompts:
        _check_one(prompt)
    for thing in things_of(prompts):
        own = [prompt for prompt in prompts if prompt.thing == thing]
        if not any(_marks_inside(prompt) for prompt in own):
            raise UserError(f"thing {thing}: only points outside of it given, expected at least one inside, or a box")


def _check_one(prompt: AnyPrompt) -> None:
    if not 1 <= prompt.thing <= MOST_THINGS:
        raise UserError(f"thing {prompt.thing}: expected 1 to {MOST_THINGS}")
    if isinstance(prompt, Words):
        if not prompt.text.strip():
            raise UserError("words are empty: expected a noun phrase such as 'the red car'")
        return
    if prompt.frame < 0:
        raise UserError(f"frame {prompt.frame} of a prompt: expected 0 or more")
    if isinstance(prompt, Box) and not (prompt.width > 0 and prompt.height > 0):
        raise UserError(f"{described(prompt)}: has no area, expected a width and a height above 0")
    if not np.isfinite(np.asarray(_numbers(prompt), np.float64)).all():
        raise UserError(f"{described(prompt)}: expected finite numbers")


def check_inside(prompt: Placed, height: int, width: int) -> None:
    """Check that a prompt lies in the picture.

    Raises:
      UserError: a box of which nothing is in the picture, a point outside of it, or a mask of another size or without
        a pixel.
    """
    size = f"the frame of {width}x{height} pixels"
    if isinstance(prompt, Box):
        x, y = prompt.x, prompt.y
        if x >= width or y >= height or x + prompt.width <= 0 or y + prompt.height <= 0:
            raise UserError(f"{described(prompt)}: lies outside {size}")
    elif isinstance(prompt, FirstMask):
        if prompt.mask_HW.shape != (height, width):
            shape = "x".join(map(str, prompt.mask_HW.shape[::-1]))
            raise UserError(f"first mask of {shape} pixels: expected one as large as {size}")
        if not prompt.mask_HW.any():
            raise UserError("first mask marks no pixel: expected True where the thing is")
    else:
        points = [(prompt.x, prompt.y)] if isinstance(prompt, Point) else prompt.points_N2
        for x, y in points:
            if not (0 <= x < width and 0 <= y < height):
                raise UserError(f"point {x:g},{y:g}: lies outside {size}")


def scaled(prompt: Placed, scale: float, size: tuple[int, int]) -> Placed:
    """A prompt for a picture reduced by ``scale`` to ``size`` (height, width)."""
    if scale == 1:
        return prompt
    if isinstance(prompt, Box):
        sides = {name: getattr(prompt, name) * scale for name in ("x", "y", "width", "height")}
        return dataclasses.replace(prompt, **sides)
    if isinstance(prompt, Point):
        return dataclasses.replace(prompt, x=prompt.x * scale, y=prompt.y * scale)
    if isinstance(prompt, Scribble):
        return dataclasses.replace(prompt, points_N2=np.asarray(prompt.points_N2) * scale)
    small_HW = cv2.resize(prompt.mask_HW.astype(np.uint8), size[::-1], interpolation=cv2.INTER_AREA)
    return dataclasses.replace(prompt, mask_HW=small_HW > 0)


def described(prompt: AnyPrompt) -> str:
    """A prompt as errors name it."""
    if isinstance(prompt, Box):
        return f"box {prompt.x:g},{prompt.y:g},{prompt.width:g},{prompt.height:g}"
    if isinstance(prompt, Point):
        return f"point {prompt.x:g},{prompt.y:g}"
    if isinstance(prompt, Words):
        return f"words {show(prompt.text)}"
    return "scribble" if isinstance(prompt, Scribble) else "first mask"


def looks_like_prompt(text: str) -> bool:
    """Whether a text has the form of a box or of points, so that it is not a name of a file."""
    return text.startswith(("box:", "points:"))


def parse_prompts(text: str, thing: int = 1) -> list[AnyPrompt]:
    """Prompts of one thing from a text, see the top of this file.

    Raises:
      UserError: a box or points in another form.
    """
    if text.startswith("box:"):
        found = _BOX.fullmatch(text)
        if not found:
            raise UserError(f"{show(text)}: expected box:x,y,width,height in pixels, and @frame for another than 0")
        x, y, width, height = map(float, found.groups()[:4])
        return [Box(x, y, width, height, int(found[5] or 0), thing)]
    if text.startswith("points:"):
        found = _POINTS.fullmatch(text)
        parts = [_POINT.fullmatch(part.strip()) for part in found[1].split(";")] if found else [None]
        if not found or None in parts:
            raise UserError(
                f"{show(text)}: expected points:x,y;x,y in pixels, a minus before x for a point outside the thing, "
                "and @frame for another than 0"
            )
        frame = int(found[2] or 0)
        return [Point(float(p[2]), float(p[3]), not p[1], frame, thing) for p in parts if p]
    return [Words(text, thing)]


def _marks_inside(prompt: AnyPrompt) -> bool:
    return prompt.inside if isinstance(prompt, Point | Scribble) else True


def _numbers(prompt: Placed) -> Sequence[float] | np.ndarray:
    if isinstance(prompt, Box):
        return prompt.x, prompt.y, prompt.width, prompt.height
    if isinstance(prompt, Point):
        return prompt.x, prompt.y
    if isinstance(prompt, Scribble):
        return prompt.points_N2
    return (math.ceil(prompt.mask_HW.any()),)
