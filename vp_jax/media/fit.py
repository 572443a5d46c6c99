"""Which pixels of a source are which pixels of the model: a box of each source frame, and its place in the model's.

    stretch    the complete frame, stretched to the model's size
    letterbox  the complete frame at its own aspect; the rest repeats the frame's rim and is cut off again
    crop       a box of the model's aspect that follows the hole, at full detail where the hole leaves room::

        source  +--------------------+      model  +----------+
                |    +----+          |  ->         |   ####   |
                |    | ## |  ->      |             |   ####   |
                |    +----+          |  <-         |          |
                +--------------------+             +----------+

A box has whole pixels, and one size for all frames of a video, so a crop at full detail resamples nothing. The mapping
back is exact in place; what is kept of the source is never taken from it (`vp_jax.media.canvas`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.canvas import resize_frames, resize_holes, resize_part
from vp_jax.media.frames import Frames
from vp_jax.media.pixel_box import PixelBox

FIT_NAMES = ("stretch", "letterbox", "crop")
MARGIN = 1 / 6
"""Share of a crop's height and width on each side of the hole that stays free, for the model to see surroundings."""
REACHES = (12, 6, 3)
"""Frames on each side over which a crop's way is smoothed: the first that costs little detail."""
_CHEAP = 1.1
"""How much larger than the smallest a crop may be for a smoother way."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """Where the frames of a video lie in the model's. Make it with `fit_of`.

    Attributes:
      source, model: height and width.
      boxes: of the source, one for each frame, or a single one for all of them.
      inside: where a box lies in the model's frame.
    """

    source: tuple[int, int]
    model: tuple[int, int]
    boxes: tuple[PixelBox, ...]
    inside: PixelBox

    def box(self, number: int) -> PixelBox:
        """The box of a frame."""
        return self.boxes[number] if len(self.boxes) > 1 else self.boxes[0]

    @property
    def complete(self) -> bool:
        """Every box is the complete frame."""
        return all(box.size == self.source for box in self.boxes)

    @property
    def detail(self) -> float:
        """Pixels of the model for a pixel of the source, along the axis that has fewer."""
        box = self.boxes[0]
        return min(self.inside.height / box.height, self.inside.width / box.width)

    def frames(self, frames_FHWC: np.ndarray, first: int = 0) -> np.ndarray:
        """Frames of the source, uint8, from number ``first`` on, at the model's size."""
        if self.complete:
            return self._surrounded(resize_frames(frames_FHWC, *self.inside.size))
        made = [
            resize_frames(frame_HWC[None, box.rows, box.columns], *self.inside.size)[0]
            for frame_HWC, box in self._boxed(frames_FHWC, first)
        ]
        return self._surrounded(np.stack(made))

    def holes(self, holes_FHW: np.ndarray, first: int = 0) -> np.ndarray:
        """Holes of the source, bool, from number ``first`` on, at the model's size; see `resize_holes`.

        The surroundings of a letterbox repeat the rim, so they are hole where the rim is.
        """
        if self.complete:
            return self._surrounded(resize_holes(holes_FHW, *self.inside.size))
        made = [
            resize_holes(hole_HW[None, box.rows, box.columns], *self.inside.size)[0]
            for hole_HW, box in self._boxed(holes_FHW, first)
        ]
        return self._surrounded(np.stack(made))

    def picture(self, model_HWC: np.ndarray, number: int, part: PixelBox | None = None) -> np.ndarray:
        """The model's frame ``number``, uint8, at the source's size; black outside of the frame's box.

        Args:
          model_HWC: at the model's size.
          number: of the frame.
          part: all of the source's frame that is used; the rest may come out black.
        """
        box = self.box(number)
        inside_HWC = model_HWC[self.inside.rows, self.inside.columns]
        if box.size == self.source:
            return resize_part(inside_HWC, box.size, None if part is None else (part.rows, part.columns))
        out_HWC = np.zeros((*self.source, 3), np.uint8)
        out_HWC[box.rows, box.columns] = resize_frames(inside_HWC[None], *box.size)[0]
        return out_HWC

    def _boxed(self, arrays: np.ndarray, first: int) -> list[tuple[np.ndarray, PixelBox]]:
        return [(array, self.box(first + index)) for index, array in enumerate(arrays)]

    def _surrounded(self, array: np.ndarray) -> np.ndarray:
        """Arrays F H W ... with the rim repeated up to the model's size."""
        if self.inside.size == self.model:
            return array
        rows, columns = (
            (start, full - start - size) for start, size, full in zip(self.inside[:2], self.inside.size, self.model)
        )
        return np.pad(array, ((0, 0), rows, columns, *((0, 0),) * (array.ndim - 3)), mode="edge")


def check_fit_name(name: object) -> None:
    """Raises:
    UserError: a word that is none of `FIT_NAMES`.
    """
    if name not in FIT_NAMES:
        raise UserError(f"fit {name}: expected {', '.join(FIT_NAMES[:-1])} or {FIT_NAMES[-1]}")


def fit_of(name: str, holes_FHW: Frames, model: tuple[int, int]) -> Fit:
    """The mapping between a video and the frames of a model.

    Args:
      name: one of `FIT_NAMES`.
      holes_FHW: bool, at the source's size; "crop" follows them, and reads each once.
      model: height and width that the model generates.

    Raises:
      UserError: another name.
    """
    check_fit_name(name)
    source = holes_FHW.shape[1], holes_FHW.shape[2]
    entire = (PixelBox(0, 0, *source),)
    if name == "stretch":
        return Fit(source, model, entire, PixelBox(0, 0, *model))
    boxes = entire if name == "letterbox" else crop_boxes(holes_FHW, model)
    return Fit(source, model, boxes, _centred(boxes[0].size, model))


def crop_boxes(holes_FHW: Frames, model: tuple[int, int]) -> tuple[PixelBox, ...]:
    """Boxes that follow the holes, all of one size: the model's, or larger where a hole with its margin needs it.

    A single box is returned where all holes fit into one. Otherwise the box of a frame is centred on the holes of some
    frames around it (`REACHES`), and its way is averaged over as many: every term of the average contains the frame's
    hole, so the average does too.

    Args:
      holes_FHW: bool, at the source's size; at least one frame has a hole.
      model: height and width.
    """
    source = holes_FHW.shape[1:]
    used = ((hole_HW.any(axis=1), hole_HW.any(axis=0)) for hole_HW in holes_FHW)
    spans = [_spans(np.stack(used_FN)) for used_FN in zip(*used)]
    ways = {}
    for reach in (len(holes_FHW), *REACHES):
        wide = [_widened(low_F, high_F, reach) for low_F, high_F in spans]
        needs = [float((high_F - low_F).max()) / (1 - 2 * MARGIN) for low_F, high_F in wide]
        ways[reach] = wide, max(1.0, *(need / side for need, side in zip(needs, model)))
    least = min(scale for _, scale in ways.values())
    reach, (wide, scale) = next((reach, way) for reach, way in ways.items() if way[1] <= _CHEAP * least)
    size = [min(math.ceil(side * scale), full) for side, full in zip(model, source)]
    starts = []
    for (low_F, high_F), side, full in zip(wide, size, source):
        centred_F = np.clip((low_F + high_F - side) / 2, 0, full - side)
        starts.append(np.rint(_averaged(centred_F, reach)).astype(int))
    boxes = [PixelBox(int(top), int(left), size[0], size[1]) for top, left in zip(*starts)]
    return tuple(boxes[:1] if len(set(boxes)) == 1 else boxes)


def _spans(used_FN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 used place of each frame; of frames without one, those of the nearest frame that has one."""
    low_F = used_FN.argmax(axis=1)
    high_F = used_FN.shape[1] - used_FN[:, ::-1].argmax(axis=1)
    known = np.flatnonzero(used_FN.any(axis=1))
    assert len(known), "no frame has a hole"
    frames_F = np.arange(len(used_FN))
    behind_F = np.searchsorted(known, frames_F).clip(0, len(known) - 1)
    before_F = (behind_F - 1).clip(0)
    nearer_F = frames_F - known[before_F] <= np.abs(known[behind_F] - frames_F)
    nearest_F = known[np.where(nearer_F, before_F, behind_F)]
    return low_F[nearest_F], high_F[nearest_F]


def _widened(low_F: np.ndarray, high_F: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The spans that contain those of ``reach`` frames on each side."""
    if reach >= len(low_F):
        return np.full_like(low_F, low_F.min()), np.full_like(high_F, high_F.max())
    around = [slice(max(0, frame - reach), frame + reach + 1) for frame in range(len(low_F))]
    return np.array([low_F[span].min() for span in around]), np.array([high_F[span].max() for span in around])


def _averaged(values_F: np.ndarray, reach: int) -> np.ndarray:
    """Mean over ``reach`` frames on each side; the ends are repeated, so that they count as often as others."""
    if reach >= len(values_F):  # all are one
        return values_F
    padded = np.pad(values_F.astype(np.float64), reach, mode="edge")
    return np.convolve(padded, np.full(2 * reach + 1, 1 / (2 * reach + 1)), mode="valid")


def _centred(size: Sequence[int], model: tuple[int, int]) -> PixelBox:
    """Where a box of ``size`` lies in the model's frame: as large as fits, in the middle. One pixel is no border."""
    scale = min(full / side for full, side in zip(model, size))
    fitted = [max(1, round(side * scale)) for side in size]
    fitted = [full if full - side <= 1 else side for full, side in zip(model, fitted)]
    return PixelBox((model[0] - fitted[0]) // 2, (model[1] - fitted[1]) // 2, fitted[0], fitted[1])
