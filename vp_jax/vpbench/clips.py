"""Clips of a benchmark: what every method is given, and what its result is compared with.

A clip is opened as streams of one picture each, at the size at which it is scored. A method never sees anything else,
so that results of all methods have one size, one number of frames and one rate.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video
from vp_jax.media.frames import Frames, mapped

FILL_TASK, REMOVE_TASK, EDIT_TASK = "fill", "remove", "edit"


class BenchInputs(NamedTuple):
    """A clip that is open.

    Attributes:
      frames_FHWC: uint8 RGB, the source.
      holes_FHW: bool, True = to be generated.
      truth_FHWC: uint8 RGB, what a perfect result shows; None where nobody knows what the hole should show.
      fps: frames per second, exact.
      native: height and width of the files, before they are resized to those of ``frames_FHWC``.
    """

    frames_FHWC: Frames
    holes_FHW: Frames
    truth_FHWC: Frames | None
    fps: Fraction
    native: tuple[int, int]


@dataclass(frozen=True)
class BenchClip:
    """A clip by name, not opened yet.

    Attributes:
      name: unique in its benchmark.
      source: opens it; raises `UserError` if it cannot be used.
      prompt: what the finished video shows.
      target: what the hole shows, "" if it is not described.
      group: rows of a table are averaged within a group, and over all.
      task: `FILL_TASK`, `REMOVE_TASK` or `EDIT_TASK`.
      facts: everything else on which its pixels depend, as JSON values.
      fault: what is wrong with its description, "" if nothing.
    """

    name: str
    source: Callable[[], BenchInputs] = field(repr=False)
    prompt: str = ""
    target: str = ""
    group: str = "all"
    task: str = FILL_TASK
    facts: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""

    def open(self) -> BenchInputs:
        """The streams of this clip.

        Raises:
          UserError: it cannot be used.
        """
        if self.fault:
            raise UserError(f"{self.name}: {self.fault}")
        return self.source()

    @property
    def file(self) -> str:
        """Name of its files, without suffix."""
        return file_name(self.name)


def file_name(name: str) -> str:
    """A name that every file system takes; names that differ stay different."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:80]
    return plain if plain == name else f"{plain or 'clip'}_{zlib.crc32(name.encode()):08x}"


@dataclass(frozen=True)
class ClipFiles:
    """The files of a clip, and how they are read.

    Attributes:
      video, mask: see `vp_jax.media.video` and `vp_jax.media.masks`.
      truth: a video of the perfect result; None: see ``source_is_truth``.
      mask_id: label that is the hole.
      start, stop: frames of the video, and of the mask.
      step: every ``step``-th of them is used.
      most: at most so many of these, None for all.
      size: height and width at which the clip is scored; None: those of the video.
      davis: resize as DAVIS is in the paper's evaluation: frames bilinear, masks nearest, grown by 4 pixels (L1).
      source_is_truth: the source shows what the hole should show.
    """

    video: Path
    mask: Path
    truth: Path | None = None
    mask_id: int | None = None
    start: int = 0
    stop: int | None = None
    step: int = 1
    most: int | None = None
    size: tuple[int, int] | None = None
    davis: bool = False
    source_is_truth: bool = True

    def __call__(self) -> BenchInputs:
        """Open the files.

        Raises:
          UserError: unreadable; sizes, counts or rates that do not belong together.
        """
        video = Video.open(self.video, start=self.start, stop=self.stop)
        holes_FHW = Mask.open(self.mask, like=video, mask_id=self.mask_id).fitted(video)
        last = None if self.most is None else self.most * self.step
        chosen = slice(0, last, self.step)
        size = self.size or video.size
        frames_FHWC = resized(video.frames_FHWC[chosen], size, smooth=not self.davis)
        holes_FHW = self._holes(holes_FHW[chosen], size)
        truth_FHWC = frames_FHWC if self.source_is_truth else None
        if self.truth is not None:
            truth_FHWC = resized(self._truth(video).frames_FHWC[chosen], size, smooth=not self.davis)
        return BenchInputs(frames_FHWC, holes_FHW, truth_FHWC, video.fps / self.step, video.size)

    def _truth(self, video: Video) -> Video:
        assert self.truth is not None
        truth = Video.open(self.truth, start=self.start, stop=self.stop)
        if truth.size != video.size or len(truth) != len(video):
            raise UserError(
                f"truth {self.truth}: {len(truth)} frames of {truth.size[1]}x{truth.size[0]}, but the source has "
                f"{len(video)} of {video.size[1]}x{video.size[0]}: they need one size and one number of frames"
            )
        return truth

    def _holes(self, holes_FHW: Frames, size: tuple[int, int]) -> Frames:
        if not self.davis:
            return resized_holes(holes_FHW, size)

        def grown(_: int, hole_HW: np.ndarray) -> np.ndarray:
            near_HW = cv2.resize(hole_HW.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
            cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
            return cv2.dilate(near_HW, cross, iterations=4).astype(bool)

        return mapped(holes_FHW, grown, size)

    @property
    def facts(self) -> dict[str, Any]:
        """These fields as JSON values; files by their names, so that hosts may keep them in different places."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value.name if isinstance(value, Path) else value for name, value in values.items()}


def resized(frames_FHWC: Frames, size: tuple[int, int], *, smooth: bool = True) -> Frames:
    """Frames at another size: Lanczos as in the paper's evaluation, or plain bilinear as it resizes DAVIS."""
    if tuple(frames_FHWC.shape[1:3]) == tuple(size):
        return frames_FHWC

    def fit(_: int, frame_HWC: np.ndarray) -> np.ndarray:
        if smooth:
            return np.asarray(Image.fromarray(frame_HWC).resize(size[::-1], Image.Resampling.LANCZOS))
        return cv2.resize(frame_HWC, size[::-1], interpolation=cv2.INTER_LINEAR)

    return mapped(frames_FHWC, fit, (*size, 3))


def resized_holes(holes_FHW: Frames, size: tuple[int, int]) -> Frames:
    """Holes at another size: where at least half of a pixel is hole (Lanczos, as in the paper's evaluation)."""
    if tuple(holes_FHW.shape[1:]) == tuple(size):
        return holes_FHW

    def fit(_: int, hole_HW: np.ndarray) -> np.ndarray:
        grey = Image.fromarray(hole_HW.astype(np.uint8) * 255)
        return np.asarray(grey.resize(size[::-1], Image.Resampling.LANCZOS)) >= 128

    return mapped(holes_FHW, fit, size)


def as_array(frames: Frames) -> np.ndarray:
    """All pictures as one array."""
    return frames if isinstance(frames, np.ndarray) else np.stack(list(frames))
