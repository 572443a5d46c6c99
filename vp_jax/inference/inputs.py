"""What is inpainted: a video and a mask, from files or from arrays, checked when they are made.

    Video.read("in.mp4")   Video(frames_FHWC)        uint8 RGB, 0 to 255
    Mask.read("mask.png")  Mask(holes_FHW)           True, 1 or 255 where pixels are generated

`vp_jax.read_video` and `vp_jax.read_mask` are the two ``read``. Nothing here needs JAX.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media import masks
from vp_jax.media import video as files
from vp_jax.media.labels import is_label_map
from vp_jax.media.mask_rules import rule_of
from vp_jax.media.video import exact_rate
from vp_jax.schema import check_number


@dataclasses.dataclass(frozen=True, eq=False)
class Video:
    """Frames and what is known of their source.

    Attributes:
      frames_FHWC: uint8 RGB, 0 to 255.
      fps: frames per second, exact.
      path: file or folder that the frames were read from; a result takes its sound from there.
      start, stop, step: the frames of the source that were read, as in a slice.
      has_audio: the source has sound.

    Raises:
      UserError: an array of another type or shape, named with what was expected.
    """

    frames_FHWC: np.ndarray
    fps: Fraction = files.FOLDER_FPS
    path: Path | None = None
    start: int = 0
    stop: int | None = None
    step: int = 1
    has_audio: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames_FHWC", _frames(self.frames_FHWC))
        check_number("fps", self.fps)
        object.__setattr__(self, "fps", exact_rate(self.fps))

    @classmethod
    def read(cls, path: str | Path, *, start: int = 0, stop: int | None = None, fps: float | None = None) -> Video:
        """Read a video file or a folder of images.

        Args:
          path: any file that FFmpeg decodes, or a folder of frames in natural order.
          start: first frame of the source.
          stop: frame of the source to stop before; ``None``: its end.
          fps: thin the source to about this rate: every ``floor(source / fps)``-th frame is kept.

        Raises:
          UserError: a file that is missing, damaged or no video, or a range outside of it.
        """
        info = files.probe(path)
        frames_FHWC, rate = files.read_video(path, start=start, stop=stop, fps=fps)
        return cls(frames_FHWC, rate, Path(path), start, stop, files.subsample_step(info.fps, fps), info.has_audio)

    def __len__(self) -> int:
        return len(self.frames_FHWC)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames_FHWC.shape[1], self.frames_FHWC.shape[2]

    @property
    def start_seconds(self) -> float:
        """Time of the first frame in the source."""
        return float(self.start / (self.fps * self.step))


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """Where pixels are generated.

    Attributes:
      holes_FHW: bool, 0/1 or 0/255; one per frame of the video. A single picture (H, W) holds for all frames.
      static: the one mask in ``holes_FHW`` holds for all frames.
      invert: the array marks what is kept.
      grow: pixels by which holes grow on each side.
      resize: fit a mask of another size to the video (nearest neighbour).
      note: what a person should know of how a file was read, "" if nothing.

    Raises:
      UserError: an array of another type, shape or values, named with what was expected.
    """

    holes_FHW: np.ndarray
    static: bool = False
    invert: bool = False
    grow: int = 0
    resize: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        holes = np.asarray(self.holes_FHW)
        if holes.ndim == 2:
            object.__setattr__(self, "static", True)
            holes = holes[None]
        object.__setattr__(self, "holes_FHW", _holes(holes))
        check_number("grow", self.grow)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        like: Video | None = None,
        mask_id: int | None = None,
        invert: bool = False,
        grow: int = 0,
        resize: bool = False,
    ) -> Mask:
        """Read a mask: one image for all frames, a video, a folder of images, or an .npz of labels.

        Args:
          path: see `vp_jax.media.masks` for what counts as hole.
          like: a video of which not every frame was read; the same frames of the mask are.
          mask_id: the label that is the hole, for .npz and label images.
          invert: white marks what is kept.
          grow: pixels by which holes grow on each side.
          resize: fit a mask of another size to the video.

        Raises:
          UserError: a file that is missing or unreadable, no such label, or several labels and none chosen.
        """
        check_number("grow", grow)
        start, stop, step = (like.start, like.stop, like.step) if like else (0, None, 1)
        holes_FHW = masks.read_masks(path, mask_id=mask_id, start=start, stop=stop, step=step)
        note = "" if is_label_map(path) else rule_of(path, mask_id).note
        return cls(holes_FHW, masks.is_static(path), invert, grow, resize, note)

    def fitted(self, video: Video) -> np.ndarray:
        """Holes of the video's frames, bool (F, H, W).

        Raises:
          UserError: another number of frames, another size, nothing to generate or nothing to keep.
        """
        height, width = video.size
        return masks.align(
            self.holes_FHW,
            frames=len(video),
            height=height,
            width=width,
            static=self.static,
            resize=self.resize,
            invert=self.invert,
            grow=self.grow,
        )


def as_video(video: Any) -> Video:
    """A `Video`, or one made of an array of frames."""
    if isinstance(video, str | Path):
        raise UserError(f"video {str(video)!r}: expected a Video or an array, read the file with read_video first")
    return video if isinstance(video, Video) else Video(video)


def as_mask(mask: Any) -> Mask:
    """A `Mask`, or one made of an array of holes."""
    if isinstance(mask, str | Path):
        raise UserError(f"mask {str(mask)!r}: expected a Mask or an array, read the file with read_mask first")
    return mask if isinstance(mask, Mask) else Mask(mask)


def _frames(video: Any, name: str = "video") -> np.ndarray:
    frames_FHWC = np.asarray(video)
    shape, kind = frames_FHWC.shape, frames_FHWC.dtype
    if len(shape) != 4:
        hint = "; for a single frame, video[None]" if len(shape) == 3 else ""
        raise UserError(f"{name} has shape {shape}: expected (frames, height, width, 3){hint}")
    if shape[3] != 3:
        hint = ", channels last" if shape[1] == 3 else ""
        raise UserError(f"{name} has shape {shape}: expected 3 channels, (frames, height, width, 3){hint}")
    if not frames_FHWC.size:
        raise UserError(f"{name} has shape {shape}: expected at least one frame and one pixel")
    if kind != np.uint8:
        hint = ""
        if np.issubdtype(kind, np.floating):
            low, high = float(np.nanmin(frames_FHWC)), float(np.nanmax(frames_FHWC))
            hint = f", here {low:.3g} to {high:.3g}"
            if 0 <= low and high <= 1:
                hint += "; convert with (255 * video).round().astype('uint8')"
        raise UserError(f"{name} is {kind}: expected uint8 with values 0 to 255{hint}")
    return frames_FHWC


def _holes(holes: np.ndarray) -> np.ndarray:
    if holes.ndim != 3 or not holes.size:
        raise UserError(
            f"mask has shape {holes.shape}: expected (frames, height, width), or (height, width) for all frames"
        )
    if holes.dtype == np.bool_:
        return holes
    values = np.unique(holes)
    if len(values) > 2 or not (set(values.tolist()) <= {0, 1} or set(values.tolist()) <= {0, 255}):
        few = ", ".join(f"{value:g}" for value in values[:4].tolist()) + (" ..." if len(values) > 4 else "")
        raise UserError(f"mask holds {few}: expected bool, 0 and 1, or 0 and 255; for grey values, mask >= 128")
    return holes > 0
