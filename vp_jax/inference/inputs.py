"""What is inpainted: a video and a mask, from files or from arrays, checked when they are made.

    Video.read("in.mp4")   Video(frames_FHWC)        uint8 RGB, 0 to 255
    Mask.read("mask.png")  Mask(holes_FHW)           True, 1 or 255 where pixels are generated

`vp_jax.read_video` and `vp_jax.read_mask` are the two ``read``, which make arrays. ``Video.open`` and ``Mask.open``
read one frame at a time, when it is asked for. Nothing here needs JAX.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.arrays import checked_frames, checked_holes
from vp_jax.media import masks
from vp_jax.media import video as files
from vp_jax.media.clock import FrameClock, read_clock
from vp_jax.media.extend import Border
from vp_jax.media.film import StartedFilm
from vp_jax.media.frames import Frames, Streamed, cut_or_held
from vp_jax.media.kept_film import KeptFilm
from vp_jax.media.labels import is_label_map
from vp_jax.media.mask_rules import rule_of
from vp_jax.media.packet_times import PacketTimes
from vp_jax.media.source import SourceVideo, read_source
from vp_jax.media.streams.carried import TrackSource, stamp_of
from vp_jax.media.video import exact_rate
from vp_jax.reading import show
from vp_jax.schema import check_number

FITS = ("hold", "cut")
"""What to do about a mask of another length, see `fit_frames`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Video:
    """Frames and what is known of their source.

    Attributes:
      frames_FHWC: uint8 RGB, 0 to 255; an array, but of `open` `vp_jax.media.frames.Streamed`.
      fps: frames per second, exact.
      path: file or folder that the frames were read from.
      start, stop, step: the frames of the source that were read, as in a slice.
      has_audio: the source has sound.
      clock: when each frame is shown; None: evenly spaced, ``fps`` apart.
      tracks: the source's other streams, which go into a result.
      note: what a person should know of how the file was read, "" if nothing.
      border: pixels that were added around the source's, see `extended`.
      source: what the file says of its pixels, for a result in the same; only of videos that `read` or `open` made,
        whose frames are read-only for this reason: a changed copy is a video of its own.

    Raises:
      UserError: an array of another type or shape, named with what was expected.
    """

    frames_FHWC: Frames
    fps: Fraction = files.FOLDER_FPS
    path: Path | None = None
    start: int = 0
    stop: int | None = None
    step: int = 1
    has_audio: bool = False
    clock: FrameClock | None = None
    tracks: TrackSource | None = None
    note: str = ""
    border: Border | None = None
    source: SourceVideo | None = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.frames_FHWC, Streamed):
            object.__setattr__(self, "frames_FHWC", checked_frames(self.frames_FHWC))
        check_number("fps", self.fps)
        object.__setattr__(self, "fps", exact_rate(self.fps))

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        start: int = 0,
        stop: int | None = None,
        fps: float | None = None,
        folder_fps: float | None = None,
    ) -> Video:
        """Read a video file or a folder of images.

        Args:
          path: any file that FFmpeg decodes, or a folder of frames in natural order.
          start: first frame of the source.
          stop: frame of the source to stop before; ``None``: its end.
          fps: thin the source to about this rate: every ``floor(source / fps)``-th frame is kept.
          folder_fps: rate of a folder of images, which states none; ``None``: 8.

        Raises:
          UserError: a file that is missing, damaged or no video, a range outside of it, or ``folder_fps`` for a file.
        """
        return cls._from(files.read_video, path, start, stop, fps, folder_fps)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        start: int = 0,
        stop: int | None = None,
        fps: float | None = None,
        folder_fps: float | None = None,
        seen: Callable[[np.ndarray], object] | None = None,
    ) -> Video:
        """The video of `read`, from the same arguments, of whose frames one at a time is in memory.

        The file is decoded once here, to count its frames and to check them, and not again if its frames fit in 512 MiB
        (`vp_jax.media.kept_film`); ``seen`` is given each of them, small, see
        `vp_jax.media.video.stream_video`.

        Raises:
          UserError: as `read`; and from the frames, when the file changed since.
        """
        kept, times = KeptFilm(), PacketTimes()
        started = files.start_video(Path(path), times)
        with contextlib.closing(started) if started else contextlib.nullcontext():
            read = functools.partial(files.stream_video, seen=seen, kept=kept, started=started)
            video = cls._from(read, path, start, stop, fps, folder_fps, started, times)
        return video._of(video.source and dataclasses.replace(video.source, kept=kept))

    @classmethod
    def _from(
        cls,
        read: Callable[..., tuple[Frames, Fraction]],
        path: str | Path,
        start: int,
        stop: int | None,
        fps: float | None,
        folder_fps: float | None,
        started: StartedFilm | None = None,
        times: PacketTimes | None = None,
    ) -> Video:
        path, stamp = Path(path), stamp_of(Path(path))
        info, first = files.look_at_video(path, folder_fps=folder_fps, started=started)
        source = read_source(path, first)
        frames_FHWC, rate = read(path, start=start, stop=stop, fps=fps, folder_fps=folder_fps, info=info)
        if stamp_of(path) != stamp:
            raise UserError(f"{show(path)}: changed while it was read, start again")
        if isinstance(frames_FHWC, np.ndarray):
            frames_FHWC.flags.writeable = False
        step = files.subsample_step(info.fps, fps)
        clock = _clock(path, len(frames_FHWC), start, stop, step, times)
        tracks = None
        if stamp is not None:
            zero = clock.zero if clock else start / info.fps
            end = (clock.seconds(len(clock)) if clock else len(frames_FHWC) / rate) if stop is not None else None
            tracks = TrackSource(path, zero, end, start == 0, stamp)
        video = cls(frames_FHWC, rate, path, start, stop, step, info.has_audio, clock, tracks, info.note)
        return video._of(source)

    def _of(self, source: SourceVideo | None) -> Video:
        """This video, as read from ``source``."""
        object.__setattr__(self, "source", source)
        return self

    def first(self, frames: int) -> tuple[FrameClock | None, TrackSource | None]:
        """FrameClock and streams of the first ``frames`` frames."""
        clock, tracks = self.clock and self.clock.first(frames), self.tracks
        if tracks is not None and frames < len(self):
            end = clock.seconds(frames) if clock else frames / self.fps
            tracks = dataclasses.replace(tracks, end=end)
        return clock, tracks

    def cut(self, frames: int) -> Video:
        """The first ``frames`` frames, with the part of the other streams that belongs to them."""
        if frames >= len(self):
            return self
        clock, tracks = self.first(frames)
        stop = self.start + frames * self.step
        part = dataclasses.replace(self, frames_FHWC=self.frames_FHWC[:frames], stop=stop, clock=clock, tracks=tracks)
        return part._of(self.source)

    def extended(self, border: Border) -> Video:
        """This video with a border of new pixels, which repeat its rim until something is generated there."""
        frames_FHWC = border.frames(self.frames_FHWC)
        if isinstance(frames_FHWC, np.ndarray):
            frames_FHWC.flags.writeable = False
        return dataclasses.replace(self, frames_FHWC=frames_FHWC, border=border)._of(self.source)

    def __len__(self) -> int:
        return len(self.frames_FHWC)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames_FHWC.shape[1], self.frames_FHWC.shape[2]

    @property
    def numbers(self) -> range:
        """Numbers of the frames in the source."""
        return range(self.start, self.start + len(self) * self.step, self.step)

    @property
    def start_seconds(self) -> float:
        """Time of the first frame in the source."""
        return float(self.clock.zero if self.clock and self.start else self.start / (self.fps * self.step))


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """Where pixels are generated.

    Attributes:
      holes_FHW: bool, 0/1 or 0/255; one per frame of the video. A single picture (H, W) holds for all frames. An array,
        or bool `vp_jax.media.frames.Streamed`.
      static: the one mask in ``holes_FHW`` holds for all frames.
      invert: the array marks what is kept.
      grow: pixels by which holes grow on each side; None: as many as the task needs.
      resize: fit a mask of another size to the video (nearest neighbour).
      note: what a person should know of how a file was read, "" if nothing.

    Raises:
      UserError: an array of another type, shape or values, named with what was expected.
    """

    holes_FHW: Frames
    static: bool = False
    invert: bool = False
    grow: int | None = None
    resize: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.holes_FHW, Streamed):
            holes = np.asarray(self.holes_FHW)
            if holes.ndim == 2:
                object.__setattr__(self, "static", True)
                holes = holes[None]
            object.__setattr__(self, "holes_FHW", checked_holes(holes))
        if self.grow is not None:
            check_number("grow", self.grow)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        like: Video | None = None,
        mask_id: int | None = None,
        invert: bool = False,
        grow: int | None = None,
        resize: bool = False,
    ) -> Mask:
        """Read a mask: one image for all frames, a video, a folder of images, or an .npz of labels.

        Args:
          path: see `vp_jax.media.masks` for what counts as hole.
          like: a video of which not every frame was read; the same frames of the mask are.
          mask_id: the label that is the hole, for .npz and label images.
          invert: white marks what is kept.
          grow: pixels by which holes grow on each side; ``None``: as many as the task needs.
          resize: fit a mask of another size to the video.

        Raises:
          UserError: a file that is missing or unreadable, no such label, or several labels and none chosen.
        """
        return cls._from(masks.read_masks, path, like, mask_id, invert, grow, resize)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        like: Video | None = None,
        mask_id: int | None = None,
        invert: bool = False,
        grow: int | None = None,
        resize: bool = False,
    ) -> Mask:
        """The mask of `read`, from the same arguments, of whose holes one at a time is in memory.

        Raises:
          UserError: as `read`; when holes are read, of what is damaged.
        """
        return cls._from(masks.stream_masks, path, like, mask_id, invert, grow, resize)

    @classmethod
    def _from(
        cls,
        read: Callable[..., Frames],
        path: str | Path,
        like: Video | None,
        mask_id: int | None,
        invert: bool,
        grow: int | None,
        resize: bool,
    ) -> Mask:
        if grow is not None:
            check_number("grow", grow)
        start, stop, step = (like.start, like.stop, like.step) if like else (0, None, 1)
        mask = masks.MaskFile(path, mask_id)
        holes_FHW = read(mask, start=start, stop=stop, step=step)
        note = "" if is_label_map(path) else rule_of(path, mask_id).note
        return cls(holes_FHW, mask.still, invert, grow, resize, note)

    def fitted(self, video: Video, growth: int = 0) -> Frames:
        """Holes of the video's frames, bool (F, H, W).

        Args:
          video: whose frames they are for.
          growth: by how many pixels they grow where ``grow`` is None.

        Raises:
          UserError: another number of frames, another size, nothing to generate or nothing to keep; of streamed holes,
            whoever reads them all has to find the last two, see `vp_jax.media.masks.check_extent`.
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
            grow=growth if self.grow is None else self.grow,
        )


def fit_frames(video: Video, mask: Mask, fit: str | None) -> tuple[Video, Mask]:
    """A video and a mask of as many frames.

    Args:
      video: what is inpainted.
      mask: its mask; one that holds for all frames fits as it is.
      fit: where the counts differ, "hold" keeps all frames of the video, under the last mask where masks are missing;
        "cut" keeps as many frames as the shorter of the two has; None changes nothing, and the pair is refused later.

    Raises:
      UserError: another word.
    """
    check_fit(fit)
    missing = len(video) - len(mask.holes_FHW)
    if fit is None or mask.static or not missing:
        return video, mask
    if fit == "cut":
        video = video.cut(len(mask.holes_FHW))
    holes_FHW = cut_or_held(mask.holes_FHW, len(video))
    note = f"{abs(missing)} masks {'too many' if missing < 0 else 'missing'}: " + (
        "the rest of the video is left out"
        if fit == "cut" and missing > 0
        else "the last one is held"
        if missing > 0
        else "the last ones are left out"
    )
    notes = f"{mask.note}; {note}" if mask.note else note
    return video, dataclasses.replace(mask, holes_FHW=holes_FHW, note=notes)


def check_fit(fit: str | None) -> None:
    """Check the word for `fit_frames`. `UserError` for one that it does not know."""
    if fit not in (None, *FITS):
        raise UserError(f"mask_fit {fit}: expected hold or cut")


def _clock(
    path: Path, frames: int, start: int, stop: int | None, step: int, times: PacketTimes | None
) -> FrameClock | None:
    """The clock of the frames that were read; None if the source states no times for them."""
    for decoded in (False, True):  # packets may show no frame, or more than one
        clock = read_clock(path, decoded=decoded, times=times)
        if clock is not None:
            end = len(clock) if stop is None else min(stop, len(clock))
            if len(range(start, end, step)) == frames:
                return clock.chosen(start, stop, step)
    return None


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
