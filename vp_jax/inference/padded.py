"""A video as the model reads it: holes black, the first frame in place, padded to the last window's end.

The holes that windows read are grown to complete latent cells, except in reference mode: what is generated. Black is
the hole alone, so that the context encoder sees all that is known of the cells at its border, as in training.

VOID is shown what it removes: where there are `Regions`, holes keep their pixels, and a quad mask says what is what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.conditioned import Regions
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.media.fit import Fit
from vp_jax.media.frames import Frames, Streamed, again
from vp_jax.media.packed_holes import equal_holes
from vp_jax.media.pixel_box import box_around
from vp_jax.media.quadmask import encoded_pixels, quadmask
from vp_jax.models.latent_grid import cover_cells
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE

PIXEL_MULTIPLE = 2 * SPATIAL_STRIDE
"""Heights and widths are multiples of this: 8 pixels per latent cell, 2 cells per token."""

_AS_FLOAT = np.arange(256, dtype=np.float32) / np.float32(127.5) - np.float32(1)
"""The pixels that a model sees, by their 8 bits."""


class PaddedVideo(Protocol):
    """What the windows of a video read, at the model's size: `PaddedArrays`, or `StreamedVideo` for any length."""

    @property
    def length(self) -> int:
        """Frames that the windows read, `WindowPlan.padded_frames`."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    def holes(self, plan: WindowPlan, settings: Settings) -> Iterator[np.ndarray]:
        """Holes (F, H, W) of each window."""

    def window(self, start: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (1, F, H, W, 3) in [-1, 1] and holes (1, F, H, W) in {0, 1} of one window, float32."""

    def quad(self, start: int, frames: int) -> np.ndarray | None:
        """Quad mask (1, F, H, W) of one window, see `vp_jax.media.quadmask.encoded_pixels`; only for VOID."""


class PaddedArrays(NamedTuple):
    """A `PaddedVideo` in memory.

    Attributes:
      frames_FHWC: uint8, holes black before they are grown, but for VOID; as many as `WindowPlan.padded_frames`.
      holes_FHW: bool, True = generated.
      quad_FHW: quad mask, uint8; only for VOID.
    """

    frames_FHWC: np.ndarray
    holes_FHW: np.ndarray
    quad_FHW: np.ndarray | None = None

    @property
    def length(self) -> int:
        """See `PaddedVideo`."""
        return len(self.frames_FHWC)

    @property
    def size(self) -> tuple[int, int]:
        """See `PaddedVideo`."""
        return self.frames_FHWC.shape[1], self.frames_FHWC.shape[2]

    def holes(self, plan: WindowPlan, settings: Settings) -> Iterator[np.ndarray]:
        """See `PaddedVideo`."""
        return (self.holes_FHW[start : start + settings.window] for start in plan.windows)

    def window(self, start: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `PaddedVideo`."""
        span = slice(start, start + frames)
        return _as_float([self.frames_FHWC[span]], 0, frames), _repeated([self.holes_FHW[span]], 0, frames)[None]

    def quad(self, start: int, frames: int) -> np.ndarray | None:
        """See `PaddedVideo`."""
        return None if self.quad_FHW is None else encoded_pixels(self.quad_FHW[start : start + frames])[None]


class StreamedVideo:
    """A `PaddedVideo` that reads a source as the windows come, in order, and holds the frames of one window.

    A later window than the next skips what lies between; an earlier one reads from the start again. The frames are
    those of `pad_video`, bit for bit.

    Args:
      frames_FHWC: uint8, of the source.
      holes_FHW: bool, of the source, True = generated.
      fit: where the frames lie in the model's, whose height and width are multiples of 16.
      settings: see `pad_video`.
      first_frame_HWC: see `pad_video`.
      cuts: frames that begin a shot; a shot's latent frames are counted from its start, and its windows padded with its
        own last frame.
      regions: of the source, whose holes then keep their pixels.

    Raises:
      UserError: a size that is no multiple of 16; when windows are read, a source that is damaged or changed.
    """

    def __init__(
        self,
        frames_FHWC: Frames,
        holes_FHW: Frames,
        fit: Fit,
        settings: Settings,
        first_frame_HWC: np.ndarray | None = None,
        cuts: Sequence[int] = (),
        regions: Regions | None = None,
    ) -> None:
        _check_multiple(fit.model)
        plan = plan_windows(len(frames_FHWC), settings, cuts)
        self.size, self.length, self._fit = fit.model, plan.padded_frames, fit
        self._shots = [range(start, stop) for start, stop in zip((0, *cuts), (*cuts, len(frames_FHWC)))]
        self._frames = again(frames_FHWC)
        if isinstance(frames_FHWC, Streamed) and fit.complete:
            self._frames = frames_FHWC.reduced(*fit.inside.size)
        self._holes, self._first = again(holes_FHW), first_frame_HWC
        self._regions = None if regions is None else Regions(*map(again, regions))
        self._covered = settings.mode != "reference"
        self._groups: dict[range, tuple[np.ndarray, np.ndarray]] = {}
        self._resized: tuple[np.ndarray, np.ndarray] | None = None

    def holes(self, plan: WindowPlan, settings: Settings) -> Iterator[np.ndarray]:
        """See `PaddedVideo`; reads the holes of the source once, without its frames."""
        groups: dict[range, np.ndarray] = {}
        for start in plan.windows:
            groups = {group: groups[group] if group in groups else self._generated(group)
                      for group in self._needed(start, settings.window)}  # fmt: skip
            yield _repeated(list(groups.values()), start - next(iter(groups)).start, settings.window, bool)

    def window(self, start: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """See `PaddedVideo`."""
        kept, self._groups = self._groups, {}
        for group in self._needed(start, frames):
            self._groups[group] = kept[group] if group in kept else self._group(group)
        pixels, holes = zip(*self._groups.values())
        skip = start - next(iter(self._groups)).start
        return _as_float(pixels, skip, frames), _repeated(holes, skip, frames)[None]

    def quad(self, start: int, frames: int) -> np.ndarray | None:
        """See `PaddedVideo`."""
        if self._regions is None:
            return None
        groups = self._needed(start, frames)
        numbers = [number for group in groups for number in group]
        removed_FHW, affected_FHW = (
            np.concatenate([self._fit.holes(np.asarray(part[number])[None], number) for number in numbers])
            for part in self._regions
        )
        quad_FHW = _repeated([quadmask(removed_FHW, affected_FHW)], start - groups[0].start, frames, np.uint8)
        return encoded_pixels(quad_FHW)[None]

    def _needed(self, start: int, frames: int) -> list[range]:
        """The latent frames of a window, each as the frames that it stands for, without those of the padding."""
        shot = next(shot for shot in self._shots if start < shot.stop)
        last = min(start + frames, shot.stop) - 1
        groups = range(_group_of(start - shot.start), _group_of(last - shot.start) + 1)
        return [shot[_members(group).start : _members(group).stop] for group in groups]

    def _group(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """The frames of one latent frame and their holes."""
        holes_FHW = self._group_holes(numbers)
        frames_FHWC = self._fit.frames(np.stack([self._frames[number] for number in numbers]), first=numbers.start)
        if self._regions is None:
            for frame_HWC, hole_HW in zip(frames_FHWC, holes_FHW):
                _blacken(frame_HWC, hole_HW)
        if self._covered:
            holes_FHW = _covered(holes_FHW)
        if self._first is not None and numbers.start == 0:
            frames_FHWC[0] = self._first
        return frames_FHWC, holes_FHW

    def _generated(self, numbers: range) -> np.ndarray:
        """The holes of the frames of one latent frame as windows read them."""
        holes_FHW = self._group_holes(numbers)
        return _covered(holes_FHW) if self._covered else holes_FHW

    def _group_holes(self, numbers: range) -> np.ndarray:
        holes_FHW = np.stack([self._resized_hole(number) for number in numbers])
        if self._first is not None and numbers.start == 0:
            holes_FHW[0] = False
        return holes_FHW

    def _resized_hole(self, number: int) -> np.ndarray:
        """The hole of a frame at the model's size; most masks move slowly or not at all."""
        hole_HW = self._holes[number]
        still = len(self._fit.boxes) == 1
        if self._resized is None or not still or not equal_holes(hole_HW, self._resized[0]):
            self._resized = hole_HW, self._fit.holes(hole_HW[None], number)[0]
        return self._resized[1]


def _group_of(frame: int) -> int:
    """The latent frame of a frame: the first alone, then groups of four, see `vp_jax.shapes.latent_index`."""
    return (frame + TEMPORAL_STRIDE - 1) // TEMPORAL_STRIDE


def _members(group: int) -> range:
    """The frames of a latent frame."""
    return range(max(0, (group - 1) * TEMPORAL_STRIDE + 1), group * TEMPORAL_STRIDE + 1)


def _covered(holes_FHW: np.ndarray) -> np.ndarray:
    """Holes of the frames of one latent frame, grown to complete cells."""
    return np.repeat(cover_cells(holes_FHW.max(0, keepdims=True)), len(holes_FHW), axis=0)


def _blacken(frame_HWC: np.ndarray, hole_HW: np.ndarray) -> None:
    """Make the hole of a frame black, in place."""
    around = box_around(hole_HW, 0).span
    np.copyto(frame_HWC[around], 0, where=hole_HW[around][..., None])


def _placed(
    parts: Sequence[np.ndarray],
    skip: int,
    frames: int,
    out_FN: np.ndarray,
    copy: Callable[[np.ndarray, np.ndarray], object],
) -> np.ndarray:
    """Fill a window with the frames of its parts from number ``skip`` on; the last one is repeated where they end."""
    done = 0
    for part_FN in parts:
        taken_FN = part_FN[skip : skip + frames - done]
        skip = max(0, skip - len(part_FN))
        copy(taken_FN, out_FN[done : done + len(taken_FN)])
        done += len(taken_FN)
    out_FN[done:] = out_FN[done - 1]
    return out_FN


def _repeated(
    parts: Sequence[np.ndarray], skip: int, frames: int, dtype: type[bool | np.uint8 | np.float32] = np.float32
) -> np.ndarray:
    """A window of masks, see `_placed`."""
    out_FHW = np.empty((frames, *parts[0].shape[1:]), dtype)
    return _placed(parts, skip, frames, out_FHW, lambda part_FHW, place_FHW: np.copyto(place_FHW, part_FHW))


def _as_float(parts: Sequence[np.ndarray], skip: int, frames: int) -> np.ndarray:
    """A window of pixels uint8, see `_placed`, as the model sees them: float32 (1, F, H, W, 3) in [-1, 1]."""
    out_FHWC = np.empty((frames, *parts[0].shape[1:]), np.float32)  # NumPy asks for large pages of memory, OpenCV not
    return _placed(parts, skip, frames, out_FHWC, _looked_up)[None]


def _looked_up(pixels_FHWC: np.ndarray, out_FHWC: np.ndarray) -> None:
    rows = pixels_FHWC.shape[0] * pixels_FHWC.shape[1]
    if rows:
        cv2.LUT(np.ascontiguousarray(pixels_FHWC).reshape(rows, -1), _AS_FLOAT, dst=out_FHWC.reshape(rows, -1))


def _check_multiple(size: tuple[int, ...]) -> None:
    for name, side in zip(("height", "width"), size):
        if side % PIXEL_MULTIPLE:
            raise UserError(f"{name} {side}: expected a multiple of {PIXEL_MULTIPLE}")


def pad_video(
    frames_FHWC: np.ndarray,
    holes_FHW: np.ndarray,
    settings: Settings,
    first_frame_HWC: np.ndarray | None = None,
    quad_FHW: np.ndarray | None = None,
) -> PaddedArrays:
    """What the windows of a video read.

    Args:
      frames_FHWC: uint8 [0, 255], H and W multiples of 16.
      holes_FHW: bool, True = hole.
      settings: window and overlap decide the length.
      first_frame_HWC: uint8, replaces frame 0, whose hole is then closed.
      quad_FHW: uint8, for VOID; holes then keep their pixels.

    Raises:
      UserError: a size that is no multiple of 16.
    """
    _check_multiple(frames_FHWC.shape[1:3])
    holes = np.array(holes_FHW, bool)
    if first_frame_HWC is not None:
        holes[0] = False
    frames = frames_FHWC if quad_FHW is not None else np.where(holes[..., None], np.uint8(0), frames_FHWC)
    if settings.mode != "reference":
        holes = cover_cells(holes)
    if first_frame_HWC is not None:
        frames[0] = first_frame_HWC
    extra = plan_windows(len(frames), settings).padded_frames - len(frames)
    padding = ((0, extra), (0, 0), (0, 0))
    quad = None if quad_FHW is None else np.pad(quad_FHW, padding, mode="edge")
    return PaddedArrays(np.pad(frames, (*padding, (0, 0)), mode="edge"), np.pad(holes, padding, mode="edge"), quad)
