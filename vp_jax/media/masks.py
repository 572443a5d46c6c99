"""Reading masks: a video, a folder, one image or VPData's ``all_masks.npz`` to holes_FHW, True = to be generated.

What counts as hole, in training and in sampling alike:

===============================================  =====================================================================
source                                           hole
===============================================  =====================================================================
grey or colour (image, video)                    brightest channel >= 128 (so pure red or blue counts, grey as usual);
                                                 transparent pixels are black, 16-bit values are scaled to 8 bits
... lossless, and nowhere above 1                value > 0 (a 0/1 mask that was never scaled)
... of one colour, but partly transparent        opacity >= 128: what was painted, in whatever colour
palette image (PNG, TIFF, BMP) with coloured     index > 0, whatever the colours (DAVIS annotations)
entries
palette image with grey entries only             as grey
labels: ``arr_0`` of an .npz, (T, H, W)          label == ``mask_id`` (VPData); without an id: label > 0, if there is
                                                 only one
any image with ``mask_id`` given                 palette index or grey value == ``mask_id``
===============================================  =====================================================================

The rule is chosen by the complete file, not by the frames that are read of it, so that every window of a mask follows
the same one: a frame that holds only compression noise stays empty. Refused, because no rule finds the hole:
values that end between 2 and 127, several labels without an id, and pictures that are partly transparent.

A single image holds for all frames. A mask that is empty in every frame, or full in every frame, is a mistake.

Growing a hole by N pixels (`dilate`) adds exactly N on each of its four sides, corners included: a square of side
2N + 1 around every pixel, in pixels of the source. The reference's ``dilate_size`` d is the side of a square, off
centre when even; ``N = d // 2`` corresponds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Generator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.media import video
from vp_jax.media.frames import Frames, StreamedFrames, mapped
from vp_jax.media.inputs import is_folder
from vp_jax.media.labels import LabelMap, is_label_map
from vp_jax.media.mask_rules import HALF, rule_of
from vp_jax.media.stamps import check_stamps, stamps_of
from vp_jax.reading import show
from vp_jax.schema import check_number


def read_masks(
    path: str | Path | MaskFile, *, mask_id: int | None = None, start: int = 0, stop: int | None = None, step: int = 1
) -> np.ndarray:
    """Holes of frames ``[start, stop)``, every ``step``-th, by the table above.

    Args:
      path: video, folder of images, image (F = 1 comes back) or .npz of labels; or that, opened with its ``mask_id``.
      mask_id: the label that is the hole; for videos there are no labels.
      start: first frame, as was chosen for the video.
      stop: end of the frames; ``None``: of the mask.
      step: as `video.subsample_step` gave for the video.

    Returns:
      holes_FHW, bool.

    Raises:
      UserError: unreadable, no such label, or several labels and none chosen.
    """
    mask = path if isinstance(path, MaskFile) else MaskFile(path, mask_id)
    return mask.holes(_chosen(mask, start, stop, step))


def stream_masks(
    path: str | Path | MaskFile, *, mask_id: int | None = None, start: int = 0, stop: int | None = None, step: int = 1
) -> Frames:
    """The holes of `read_masks`; those of a film, a folder or labels are read when they are asked for.

    Raises:
      UserError: as `read_masks`; and, when holes are read, of what is damaged.
    """
    mask = path if isinstance(path, MaskFile) else MaskFile(path, mask_id)
    chosen = _chosen(mask, start, stop, step)
    return mask.holes(chosen) if mask.still else mask.streamed(chosen)


def _chosen(mask: MaskFile, start: int, stop: int | None, step: int) -> range:
    """Numbers of the masks that belong to the frames of a video."""
    chosen = range(1) if mask.still else range(start, mask.frames if stop is None else min(stop, mask.frames), step)
    if not len(chosen):
        raise UserError(f"{show(mask.path)}: has {mask.frames} masks, no masks left in the chosen range of frames")
    return chosen


def is_static(path: str | Path) -> bool:
    """Whether a mask is one image, which holds for every frame. `UserError` if it cannot be read."""
    return MaskFile(path).still


class MaskFile:
    """A mask whose kind and size are known and whose frames are not read yet.

    Attributes:
      frames, height, width: as stored; a still has one frame.
      still: one image, which holds for every frame.

    Raises:
      UserError: unreadable.
    """

    def __init__(self, path: str | Path, mask_id: int | None = None) -> None:
        if mask_id is not None:
            check_number("mask_id", mask_id)
        self.path, self.mask_id = Path(path), mask_id
        self._labels = LabelMap(path) if is_label_map(path) else None
        if self._labels is not None:
            self.frames, self.height, self.width = self._labels.shape
            self.still = False
            return
        info = video.probe(path)
        self.frames, self.height, self.width, self.still = info.frames, info.height, info.width, info.still
        if mask_id is not None and not self.still and not is_folder(path):
            raise UserError(
                f"{show(path)}: mask_id {mask_id} needs labels (.npz or images), a video holds none; leave it off"
            )

    def check(self, *, threads: int = 0) -> str:
        """Find the rule, reading as much of the mask as that needs.

        Returns:
          What the user should know about how the mask is read, "" if nothing.

        Raises:
          UserError: no rule of the table finds the hole, no such label, or there is no hole in any frame.
        """
        if self._labels is None:
            rule = rule_of(self.path, self.mask_id, threads=threads)
            if rule.name == "empty":
                raise UserError(f"{show(self.path)}: empty in every frame; white ({HALF} or more) marks the hole")
            return rule.note
        present = self._labels.present()
        self._check_labels(present)
        if present == [0] and self.mask_id is None:
            raise UserError(f"{show(self.path)}: empty in every frame, every label is 0")
        return ""

    def holes(self, indices: Sequence[int] | np.ndarray, *, threads: int = 0) -> np.ndarray:
        """Holes bool FHW of these ascending frame numbers; a still's one hole for each of them, without copies.

        Args:
          indices: ascending frame numbers.
          threads: of the decoder, 0 for as many as the machine has cores.

        Raises:
          UserError: damaged, the mask ends before the last of ``indices``, no such label, or no rule of the table finds
            the hole.
        """
        if self._labels is not None:
            return self._labelled(self._labels, indices)
        wanted = [0] if self.still else [int(index) for index in indices]
        rule, count = rule_of(self.path, self.mask_id, threads=threads), 0
        out_FHW = np.empty((0, 0, 0), bool)
        with contextlib.closing(video.video_pictures(self.path, set(wanted), threads=threads)) as found:
            for count, (name, _, picture) in zip(range(1, len(wanted) + 1), found):
                if count == 1:
                    out_FHW = np.empty((len(wanted), *picture.size), bool)
                out_FHW[count - 1] = rule.hole(picture, name)
        if count < len(wanted):
            raise UserError(f"{show(self.path)}: has {self.frames} masks, frame {wanted[count]} was requested")
        return np.broadcast_to(out_FHW[0], (len(indices), *out_FHW.shape[1:])) if self.still else out_FHW

    def streamed(self, numbers: range) -> StreamedFrames:
        """The holes of `holes`, bool HW, of which one at a time is in memory. Errors come when they are read.

        Args:
          numbers: of the frames.
        """

        def missing(number: int) -> UserError:
            return UserError(f"{show(self.path)}: has {self.frames} masks, frame {number} was requested")

        stamps = stamps_of(self.path)

        def read(wanted: Container[int]) -> Generator[np.ndarray, None, None]:
            check_stamps(self.path, stamps)
            rule = rule_of(self.path, self.mask_id)
            with contextlib.closing(video.video_pictures(self.path, wanted)) as found:
                for name, _, picture in found:
                    yield rule.hole(picture, name)

        def read_labels(wanted: Container[int]) -> Generator[np.ndarray, None, None]:
            assert self._labels is not None
            check_stamps(self.path, stamps)
            for number, labels_HW in enumerate(self._labels.frames()):
                if number in wanted:
                    yield labels_HW != 0 if self.mask_id is None else labels_HW == self.mask_id

        if self._labels is None:
            return StreamedFrames(read, numbers, (self.height, self.width), missing)
        self._check_labels(self._labels.present())
        return StreamedFrames(read_labels, numbers, (self.height, self.width), missing)

    def _labelled(self, labels: LabelMap, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        present: set[int] = set()
        if self.mask_id is None:
            holes_FHW = labels.where(indices, lambda labels_HW: labels_HW != 0, present)
        else:
            holes_FHW = labels.where(indices, lambda labels_HW: labels_HW == self.mask_id, present)
        self._check_labels(sorted(present))
        return holes_FHW

    def _check_labels(self, present: list[int]) -> None:
        """The labels of a map must leave no doubt which one is the hole."""
        if self.mask_id is None and len(set(present) - {0}) > 1:
            raise UserError(f"{show(self.path)}: holds labels {_listed(present)}; choose the hole with mask_id")
        if self.mask_id is not None and self.mask_id not in present:
            raise UserError(f"{show(self.path)}: no pixel has label {self.mask_id}, expected one of {_listed(present)}")


def _listed(labels: list[int]) -> str:
    return ", ".join(str(label) for label in labels[:12]) + (" ..." if len(labels) > 12 else "")


def align(
    holes_FHW: Frames,
    *,
    frames: int,
    height: int,
    width: int,
    static: bool = False,
    resize: bool = False,
    invert: bool = False,
    grow: int = 0,
) -> Frames:
    """Fit holes to a video: repeat (``static``), resize (nearest, if allowed), invert, grow, then check.

    Args:
      holes_FHW: bool, from `read_masks` or `stream_masks`.
      frames: count of the video.
      height: of the video.
      width: of the video.
      static: one hole is that of every frame.
      resize: holes of another size may be resized.
      invert: the hole is what was kept.
      grow: pixels added on each side, see `dilate`.

    Returns:
      holes_FHW, bool, of exactly the video's shape; an array of an array, else streamed. A static hole is one array,
      seen ``frames`` times.

    Raises:
      UserError: another count or size, nothing to generate, or nothing to keep; of streamed holes, whoever reads them
        all has to find the last two (`check_extent`).
    """
    static = static and len(holes_FHW) == 1
    if len(holes_FHW) != frames and not static:
        hint = "; `mask_fit` hold or cut accepts another count"
        if len(holes_FHW) == 1:
            hint = "; give the image file itself to use it for all frames"
        raise UserError(f"the mask has {len(holes_FHW)} frames, the video {frames}: they need one mask per frame{hint}")
    if holes_FHW.shape[1:] != (height, width) and not resize:
        raise UserError(
            f"the mask is {holes_FHW.shape[2]}x{holes_FHW.shape[1]} pixels, the video {width}x{height}: "
            "give a mask of the video's size, or allow resizing (mask_resize)"
        )
    check_number("mask_dilate", grow)

    def fit(_: int, hole_HW: np.ndarray) -> np.ndarray:
        if hole_HW.shape != (height, width):
            hole_HW = np.asarray(Image.fromarray(hole_HW).resize((width, height), Image.Resampling.NEAREST))
        grown_HW: np.ndarray = dilate((~hole_HW if invert else hole_HW)[None], grow)[0]
        return grown_HW

    changed = invert or grow or holes_FHW.shape[1:] != (height, width)
    if not isinstance(holes_FHW, np.ndarray):
        return mapped(holes_FHW, fit, (height, width)) if changed else holes_FHW
    out_FHW = np.stack([fit(0, hole_HW) for hole_HW in holes_FHW]) if changed else holes_FHW
    check_extent(empty=not out_FHW.any(), full=bool(out_FHW.all()))
    return np.broadcast_to(out_FHW, (frames, height, width)) if static else out_FHW


def check_extent(*, empty: bool, full: bool) -> None:
    """Refuse holes that are empty, or full, in every frame.

    Raises:
      UserError: nothing to generate, or nothing to keep.
    """
    if empty:
        raise UserError("the mask is empty in every frame, there is nothing to generate; white (>= 128) marks the hole")
    if full:
        raise UserError("the mask covers every frame completely, there is nothing to keep; is it meant to be inverted?")


def white_on_black(holes: np.ndarray) -> np.ndarray:
    """Holes, bool (..., H, W), as pictures of a mask file, uint8 (..., H, W, 3): white is generated."""
    return np.repeat(holes[..., None] * np.uint8(255), 3, axis=-1)


def dilate(holes_FHW: np.ndarray, radius: int) -> np.ndarray:
    """Grow holes by ``radius`` pixels on each side (square neighbourhood, symmetric; the frame's edge adds nothing).

    Raises:
      UserError: a radius out of its range.
    """
    check_number("mask_dilate", radius)
    for axis in (1, 2):
        # a pixel grown by g reaches g + 1 pixels inwards even at the frame's edge, so a jump of g + 1 leaves no gap
        grown = 0
        while grown < radius:
            jump = min(grown + 1, radius - grown)
            holes_FHW = _spread(holes_FHW, jump, axis)
            grown += jump
    return holes_FHW


def _spread(holes_FHW: np.ndarray, by: int, axis: int) -> np.ndarray:
    """Union of holes with themselves moved by ``by`` pixels to both sides along an axis."""
    holes_xFH = np.moveaxis(holes_FHW, axis, 0)
    out_xFH = holes_xFH.copy()
    out_xFH[by:] |= holes_xFH[:-by]
    out_xFH[:-by] |= holes_xFH[by:]
    return np.moveaxis(out_xFH, 0, axis)
