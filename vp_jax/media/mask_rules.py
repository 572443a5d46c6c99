"""Which rule of the table in `vp_jax.media.masks` a mask of pictures follows, and what that makes a hole.

A rule is chosen by the pictures of the complete file, in order, until no later one can change it: usually the first
picture that holds a hole settles it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import Literal

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.images import Picture, image_files
from vp_jax.media.inputs import is_folder
from vp_jax.media.video import video_pictures
from vp_jax.reading import show

HALF = 128
"""Brightness and opacity from which a pixel is hole."""

_ONE_COLOUR = 16  # values within this of each other are one colour: codecs and soft edges change it a little
_DARK, _LIGHT, _MOST_MIDDLE = 32, 224, 0.25  # a mask is black and white, a picture has most pixels in between

Name = Literal["bright", "nonzero", "opaque", "index", "label", "empty"]
_NOTES = {
    "opaque": "its transparency marks the hole: what is opaque is generated",
    "nonzero": "its values are 0 and 1: what is 1 is generated",
}


@dataclasses.dataclass(frozen=True)
class MaskRule:
    """How a picture becomes a hole; ``label`` is that of the rule of this name."""

    name: Name
    label: int = 0

    @property
    def note(self) -> str:
        """What a person should know of it, "" if nothing."""
        return _NOTES.get(self.name, "")

    def hole(self, picture: Picture, name: str) -> np.ndarray:
        """Hole bool HW of a picture; ``name`` is for errors. `UserError` if the picture is of another kind."""
        if self.name == "label" or self.name == "index":
            if picture.index_HW is None or (self.name == "index" and not picture.palette):
                raise UserError(f"{name}: expected label images throughout (palette or grey), this is a colour picture")
            return picture.index_HW == self.label if self.name == "label" else picture.index_HW > 0
        if self.name == "empty":
            return np.zeros(picture.rgb_HWC.shape[:2], bool)
        if picture.palette == "coloured":
            raise UserError(f"{name}: expected label images throughout (palette or grey), others are colour pictures")
        if self.name == "opaque":
            return np.ones(picture.rgb_HWC.shape[:2], bool) if picture.alpha_HW is None else picture.alpha_HW >= HALF
        return picture.above(HALF - 1 if self.name == "bright" else 0)


def rule_of(path: str | Path, mask_id: int | None, *, threads: int = 0) -> MaskRule:
    """The rule of a mask of pictures (not of labels in an .npz).

    Args:
      path: image, video or folder of images.
      mask_id: the label that is the hole; ``None``: the rules decide.
      threads: of the decoder, 0 for as many as the machine has cores.

    Raises:
      UserError: unreadable, or no rule of the table finds the hole.
    """
    if mask_id is not None:
        return MaskRule("label", mask_id)
    files = image_files(path) if is_folder(path) else [Path(path)]
    try:
        stats = [os.stat(file) for file in files]
    except OSError:  # deleted since: reading reports it
        return _Search(path).run(threads)
    return _cached(str(path), tuple((stat.st_mtime_ns, stat.st_size) for stat in stats), threads)


@functools.lru_cache(maxsize=4096)
def _cached(path: str, versions: tuple[tuple[int, int], ...], threads: int) -> MaskRule:
    """The same for as long as no file changes: training reads many windows of one mask."""
    return _Search(path).run(threads)


class _Search:
    """What was seen of a mask's pictures so far."""

    def __init__(self, path: str | Path) -> None:
        self.path, self.top, self.lossless = path, 0, True
        self.cut, self.tones = False, False  # transparent parts, middle tones as of a picture
        self.low_C, self.high_C = np.full(3, 255), np.zeros(3, int)

    def run(self, threads: int) -> MaskRule:
        for name, _, picture in video_pictures(self.path, threads=threads):
            rule = self._settled_by(picture, name)
            if rule is not None:
                return rule
        if self.cut and self._one_colour():
            return MaskRule("opaque")
        if self.top == 1 and self.lossless:
            return MaskRule("nonzero")
        if 0 < self.top < HALF:
            raise UserError(
                f"{show(self.path)}: brightest value is {self.top}, a hole has {HALF} or more; for labels give mask_id"
            )
        return MaskRule("bright" if self.top else "empty")

    def _settled_by(self, picture: Picture, name: str) -> MaskRule | None:
        if picture.palette == "coloured":
            return MaskRule("index")
        self.lossless &= picture.lossless
        if not picture.has_alpha:
            self.top = max(self.top, int(picture.rgb_HWC.max()))
            return MaskRule("bright") if self.top >= HALF and picture.palette != "spare" else None
        return self._settled_by_transparent(picture, name)

    def _settled_by_transparent(self, picture: Picture, name: str) -> MaskRule | None:
        alpha_HW = picture.alpha_HW
        visible_HW = np.ones(picture.rgb_HWC.shape[:2], bool) if alpha_HW is None else alpha_HW >= HALF
        self.cut |= not visible_HW.all()
        self.top = max(self.top, int(picture.over_black().max()))
        visible_xC = picture.rgb_HWC[visible_HW]
        if not len(visible_xC):
            return None
        self.low_C = np.minimum(self.low_C, visible_xC.min(axis=0))
        self.high_C = np.maximum(self.high_C, visible_xC.max(axis=0))
        if self._one_colour():
            return None
        bright_x = visible_xC.max(axis=1)
        self.tones |= bool(((bright_x >= _DARK) & (bright_x < _LIGHT)).mean() > _MOST_MIDDLE)
        if self.cut and self.tones:
            raise UserError(
                f"{name}: a picture with transparent parts: neither its colours nor its transparency alone say where "
                "the hole is; save the mask in black and white"
            )
        return MaskRule("bright") if self.top >= HALF and not self.tones else None

    def _one_colour(self) -> bool:
        return int((self.high_C - self.low_C).max()) <= _ONE_COLOUR
