"""Between the source's pixels and the model's: stretch there, stretch back, and paste into the untouched source.

The hole at the model's size covers every model pixel that touches a source hole pixel (area > 0), so no pixel that is
to be generated is taken from the old content. The result is pasted at the source's size:

    out = source                              outside of the hole, bit for bit
    out = source + a (result - source)        inside, a = min(d, feather + 1) / (feather + 1)

with d the distance in pixels to the nearest kept pixel (largest of rows and columns, 1 at the rim), so the default
feather 0 takes the result everywhere in the hole, and a blend never leaves the hole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
from PIL import Image

from vp_jax.media.frames import Frames
from vp_jax.media.masks import dilate
from vp_jax.media.pixel_box import box_around


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Pixels uint8 of values around [-1, 1], clipped and rounded."""
    return np.round((np.clip(np.asarray(values, np.float32), -1, 1) + 1) * 127.5).astype(np.uint8)


@overload
def resize_frames(frames_FHWC: np.ndarray, height: int, width: int) -> np.ndarray: ...
@overload
def resize_frames(frames_FHWC: Frames, height: int, width: int) -> Frames: ...


def resize_frames(frames_FHWC: Frames, height: int, width: int) -> Frames:
    """Stretch uint8 frames to another size, antialiased (bicubic); equal sizes come back as they are."""
    if frames_FHWC.shape[1:3] == (height, width):
        return frames_FHWC
    out_FHWC = np.empty((len(frames_FHWC), height, width, 3), np.uint8)
    for frame_HWC, out_HWC in zip(frames_FHWC, out_FHWC):
        out_HWC[:] = np.asarray(Image.fromarray(frame_HWC).resize((width, height), Image.Resampling.BICUBIC))
    return out_FHWC


def resize_part(frame_HWC: np.ndarray, size: tuple[int, int], part: tuple[slice, slice] | None) -> np.ndarray:
    """A frame at another size as `resize_frames` makes it, of which a part is used; the rest may come out black.

    Args:
      frame_HWC: uint8.
      size: height and width to make.
      part: rows and columns that are used; ``None``: all.
    """
    if part is None or frame_HWC.shape[:2] == size:
        stretched_HWC: np.ndarray = resize_frames(frame_HWC[None], *size)[0]
        return stretched_HWC
    out_HWC = np.zeros((*size, 3), np.uint8)
    (old_rows, rows), (old_columns, columns) = (_whole_span(*each) for each in zip(part, frame_HWC.shape, size))
    shape = columns.stop - columns.start, rows.stop - rows.start
    if all(shape):
        box = (old_columns.start, old_rows.start, old_columns.stop, old_rows.stop)
        out_HWC[rows, columns] = np.asarray(Image.fromarray(frame_HWC).resize(shape, Image.Resampling.BICUBIC, box=box))
    return out_HWC


def _whole_span(part: slice, old: int, new: int) -> tuple[slice, slice]:
    """The smallest span of old pixels and of new ones that contains ``part`` of the new and has whole pixels in both.

    Within such spans a kernel has the same weights as in the complete frame.
    """
    common = math.gcd(old, new)
    first, behind = part.start * common // new, -(-part.stop * common // new)
    before, after = (slice(first * side // common, behind * side // common) for side in (old, new))
    return before, after


def resize_holes(holes_FHW: np.ndarray, height: int, width: int) -> np.ndarray:
    """Stretch bool holes to another size; a pixel is hole if any part of it is."""
    if holes_FHW.shape[1:] == (height, width):
        return holes_FHW
    return np.stack([_touched(hole_HW, height, width) for hole_HW in holes_FHW])


def composite(source_FHWC: np.ndarray, result_FHWC: np.ndarray, holes_FHW: np.ndarray, feather: int = 0) -> np.ndarray:
    """Paste results into the source's holes, by the equation of the module.

    Args:
      source_FHWC: uint8.
      result_FHWC: uint8, of the same shape.
      holes_FHW: bool, True = generated.
      feather: pixels inside the hole over which the source fades out.

    Returns:
      uint8 frames; equal to the source wherever ``holes_FHW`` is False.
    """
    return np.stack([_pasted(*three, feather) for three in zip(source_FHWC, result_FHWC, holes_FHW)])


class Finished(Sequence[np.ndarray]):
    """Frames of a result at the source's size, uint8 HWC, made on demand, so that a long video is not held twice.

    Args:
      source_FHWC, holes_FHW: the source, uint8, and its holes, bool; may be longer than the result.
      result_FHWC: the model's frames, uint8, at any size.
      place: brings a frame of the result, by its number in it, to the source's size; default: it is stretched.
      paste: into the source, see `composite`; otherwise the complete picture of the model.
      feather: see `composite`.
    """

    def __init__(
        self,
        source_FHWC: Frames,
        holes_FHW: Frames,
        result_FHWC: Frames,
        *,
        place: Callable[[np.ndarray, int], np.ndarray] | None = None,
        paste: bool = True,
        feather: int = 0,
    ) -> None:
        self._source, self._holes, self._result, self._paste = source_FHWC, holes_FHW, result_FHWC, paste
        self._feather, self._place = feather, place or self._stretched

    def __len__(self) -> int:
        return len(self._result)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        full_HWC = self._place(self._result[index], index)
        return _pasted(self._source[index], full_HWC, self._holes[index], self._feather) if self._paste else full_HWC

    def _stretched(self, frame_HWC: np.ndarray, index: int) -> np.ndarray:
        stretched_HWC: np.ndarray = resize_frames(frame_HWC[None], *self._source.shape[1:3])[0]
        return stretched_HWC


def _pasted(source_HWC: np.ndarray, result_HWC: np.ndarray, hole_HW: np.ndarray, feather: int) -> np.ndarray:
    out_HWC = source_HWC.copy()
    if not feather:
        out_HWC[hole_HW] = result_HWC[hole_HW]
        return out_HWC
    alpha_x1 = hole_depth(hole_HW, feather + 1)[hole_HW][:, None] / np.float32(feather + 1)
    source_xC = out_HWC[hole_HW].astype(np.float32)
    out_HWC[hole_HW] = np.rint(source_xC + alpha_x1 * (result_HWC[hole_HW] - source_xC))
    return out_HWC


def _touched(hole_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """Stretch a hole; a new pixel is hole where any old one it overlaps is (Pillow's box filter drops some)."""
    out_HW = np.zeros((height, width), bool)
    box = box_around(hole_HW, 0)
    if not box.height:
        return out_HW
    new_rows, used_HW = _touched_rows(hole_HW[box.span], box.top, len(hole_HW), height)
    new_columns, used_WH = _touched_rows(np.ascontiguousarray(used_HW.T), box.left, hole_HW.shape[1], width)
    out_HW[new_rows, new_columns] = used_WH.T
    return out_HW


def _touched_rows(used_HW: np.ndarray, top: int, old: int, new: int) -> tuple[slice, np.ndarray]:
    """Some of ``old`` rows, from row ``top`` on, stretched as if to ``new`` rows: those of the new that they touch."""
    bottom = top + len(used_HW)
    rows = np.arange(top * new // old, -(-bottom * new // old))
    first = (rows * old // new).clip(top, bottom) - top
    behind = (-(-(rows + 1) * old // new)).clip(top, bottom) - top
    counts_HW = np.zeros((len(used_HW) + 1, used_HW.shape[1]), np.int32)
    np.cumsum(used_HW, axis=0, out=counts_HW[1:])
    return slice(int(rows[0]), int(rows[-1]) + 1), counts_HW[behind] > counts_HW[first]


def hole_depth(hole_HW: np.ndarray, limit: int) -> np.ndarray:
    """Distance of each hole pixel to the nearest kept one, up to ``limit``; 0 outside. The frame's edge is no rim."""
    kept_FHW, depth_HW = ~hole_HW[None], hole_HW.astype(np.float32)
    if not kept_FHW.any():
        return depth_HW * np.float32(limit)
    for _ in range(limit - 1):
        if kept_FHW.all():
            break
        kept_FHW = dilate(kept_FHW, 1)
        depth_HW += ~kept_FHW[0]
    return depth_HW
