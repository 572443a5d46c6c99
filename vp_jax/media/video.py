"""Reading videos: files, their bytes and folders of images to uint8 arrays (writing: `vp_jax.media.video_writer`).

A video is a file that FFmpeg decodes (mp4, mov, mkv, webm, gif ...), an image file of several pictures (APNG, WebP,
TIFF), or a folder of images in natural order (``frame2.png`` before ``frame10.png``). The content of a file decides
what it is, not its name. Pixels are RGB uint8, upright, over black where there is transparency. Every stored frame is
kept: a variable frame rate is neither resampled nor thinned, and the rate returned is the average, an exact fraction
(30000/1001, not 29.97).

Thinning is done only on request and by the reference's rule (VPData and DAVIS at 8 frames per second): every k-th
frame, ``k = max(1, floor(fps / target))``, so 24, 25 and 30 frames per second all give k = 3.

Training and sampling read through the same functions: `read_video` takes a range of frames, `read_frames` chosen ones,
`stream_video` one at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Container, Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter

from vp_jax.errors import UserError
from vp_jax.media.decoded_frame import DecodedFrame
from vp_jax.media.film import FilmInfo, StartedFilm, film_frames, film_pictures, look_at_film, start_film
from vp_jax.media.frame_pictures import thumbnail
from vp_jax.media.frames import StreamedFrames
from vp_jax.media.images import (
    FOLDER_FPS,
    Picture,
    image_files,
    image_info,
    pictures,
    read_image,
    read_picture,
)
from vp_jax.media.inputs import is_folder
from vp_jax.media.kept_film import KeptFilm
from vp_jax.media.packet_count import counted_by_packets
from vp_jax.media.packet_times import PacketTimes
from vp_jax.media.stamps import check_stamps, stamps_of
from vp_jax.reading import show
from vp_jax.schema import check_number

__all__ = ["FOLDER_FPS", "VideoInfo", "VideoSource", "image_files", "probe", "read_frames", "read_image", "read_video"]

VideoSource = str | Path | bytes
"""A video file, a folder of images, or the bytes of a video file."""


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What `probe` finds.

    Attributes:
      frames: their count.
      height, width: in pixels, upright.
      fps: average frames per second; 8 for pictures that state no rate, 0 for a video file that does not.
      has_audio: whether it has sound.
      still: one picture in a format for images.
      note: what the file promises and does not hold, though it is complete; "" if nothing.
    """

    frames: int
    height: int
    width: int
    fps: Fraction
    has_audio: bool
    still: bool = False
    note: str = ""


def subsample_step(fps: Fraction | float, target: float | None) -> int:
    """Step k of the reference's thinning, ``max(1, floor(fps / target))``; 1 without a target.

    Raises:
      UserError: a target out of its range.
    """
    if target is None:
        return 1
    check_number("fps", target)
    return max(1, int(fps // exact_rate(target)))


def exact_rate(fps: Fraction | float) -> Fraction:
    """Frames per second as a fraction; numbers of NumPy are numbers too."""
    return Fraction(fps if isinstance(fps, Fraction | int) else float(fps))


def probe(source: VideoSource, *, folder_fps: float | None = None) -> VideoInfo:
    """Frame count, size, rate and sound of a video, from its index and one frame.

    Args:
      source: a video file, its bytes, or a folder of images.
      folder_fps: rate of a folder of images, which states none; ``None``: 8.

    Raises:
      UserError: missing, unreadable or empty, or ``folder_fps`` for a file.
    """
    return look_at_video(source, folder_fps=folder_fps)[0]


def look_at_video(
    source: VideoSource, *, folder_fps: float | None = None, started: StartedFilm | None = None
) -> tuple[VideoInfo, DecodedFrame | None]:
    """What `probe` finds, and the frame of a film that was decoded for it; of a ``started`` film, what that says."""
    if folder_fps is not None:
        check_number("folder_fps", folder_fps)
    if folder := as_folder(source):
        files = image_files(folder)
        height, width = read_image(files[0]).shape[:2]
        return VideoInfo(len(files), height, width, exact_rate(folder_fps or FOLDER_FPS), False), None
    if folder_fps is not None:
        raise UserError(f"folder_fps {folder_fps:g}: {source_name(source)} is a file, which states its own rate")
    if started is not None:
        return _of_film(started.info), started.first
    if image := image_info(source):
        still = image.frames == 1
        return VideoInfo(image.frames, image.height, image.width, image.fps or FOLDER_FPS, False, still), None
    film, first = look_at_film(_file(source))
    return _of_film(film), first


def start_video(source: Path, times: PacketTimes) -> StartedFilm | None:
    """A film that is opened once for `probe`, for its first frame and for `stream_video`; None: it takes more than one.

    Args:
      source: a file or folder.
      times: takes the times of its packets.
    """
    return None if as_folder(source) or image_info(source) else start_film(source, times)


def _of_film(film: FilmInfo) -> VideoInfo:
    return VideoInfo(film.frames, film.height, film.width, film.fps, film.has_audio, film.still, film.note)


def read_video(
    source: VideoSource,
    *,
    start: int = 0,
    stop: int | None = None,
    fps: float | None = None,
    folder_fps: float | None = None,
    info: VideoInfo | None = None,
) -> tuple[np.ndarray, Fraction]:
    """Frames ``[start, stop)`` of a video, thinned towards ``fps`` if that is given.

    Args:
      source: a video file, its bytes, or a folder of images.
      start: first source frame, before thinning.
      stop: end of the source frames; ``None``: of the video.
      fps: requested rate; the real one is ``source / k``, see `subsample_step`.
      folder_fps: rate of a folder of images, which states none; ``None``: 8.
      info: what `probe` found of the source; ``None``: it is probed here.

    Returns:
      frames_FHWC, uint8 RGB; and their exact rate.

    Raises:
      UserError: missing or unreadable, no frames, damaged (with the frame at which decoding stopped), frames of
        different sizes, or a range outside of the video.
    """
    info, numbers = _asked_for(source, start, stop, fps, folder_fps, info)
    if stop is not None:
        return read_frames(source, numbers, threads=0), info.fps / numbers.step
    return _joined(list(_rgb(source, numbers, 0))), info.fps / numbers.step


def stream_video(
    source: VideoSource,
    *,
    start: int = 0,
    stop: int | None = None,
    fps: float | None = None,
    folder_fps: float | None = None,
    info: VideoInfo | None = None,
    started: StartedFilm | None = None,
    seen: Callable[[np.ndarray], object] | None = None,
    kept: KeptFilm | None = None,
) -> tuple[StreamedFrames, Fraction]:
    """The frames of `read_video`, from the same arguments, of which one at a time is in memory.

    The source is decoded once here, to count the frames and to check them; only packets are read of a long film whose
    packets tell (`vp_jax.media.packet_count`), unless its frames are ``seen``: that is called with each of them, RGB
    uint8 of any orientation, reduced to 256 pixels on the longer side. ``kept`` takes the frames of a film that is
    short enough, and they are not decoded again. ``started`` is the film as `start_video` opened it.

    Raises:
      UserError: as `read_video`; and from the frames, when the source changed since.
    """
    info, numbers = _asked_for(source, start, stop, fps, folder_fps, info)
    stamps = None if isinstance(source, bytes) else stamps_of(source)
    count, size = 0, (info.height, info.width)
    expected = len(range(numbers.start, min(numbers.stop, info.frames), numbers.step))
    packets = None
    if kept is not None and seen is None and stop is None and not kept.fits(expected, *size):
        packets = None if as_folder(source) or image_info(source) else counted_by_packets(_file(source))
    if packets is not None:
        count = len(range(start, packets, numbers.step))
    for name, height, width in _sizes(source, numbers, seen, kept, expected, started) if packets is None else ():
        if count:
            _check_size(name, (height, width), size)
        count, size = count + 1, (height, width)
    if count < (1 if stop is None else len(numbers)):
        raise UserError(f"{source_name(source)}: ends before frame {numbers[count]}, which was requested")
    if kept is not None:
        kept.finish(count)

    def missing(number: int) -> UserError:
        return UserError(f"{source_name(source)}: ends before frame {number}, it changed while it was used")

    def read(wanted: Container[int], small: tuple[int, int] | None = None) -> Generator[np.ndarray, None, None]:
        if stamps is not None and not isinstance(source, bytes):
            check_stamps(source, stamps)
        for _, _, picture in video_pictures(source, wanted, size=small, kept=kept):
            yield picture.over_black()

    reducible = isinstance(source, bytes) or not (as_folder(source) or image_info(source))
    return StreamedFrames(
        read, numbers[:count], (*size, 3), missing, read if reducible else None
    ), info.fps / numbers.step


def _asked_for(
    source: VideoSource,
    start: int,
    stop: int | None,
    fps: float | None,
    folder_fps: float | None,
    info: VideoInfo | None,
) -> tuple[VideoInfo, range]:
    """What a source holds, and the numbers of the frames that are asked for, without end where none is given."""
    check_number("start", start)
    if stop is not None:
        check_number("stop", stop)
    if stop is not None and stop <= start:
        raise UserError(f"frames {start} to {'the end' if stop is None else stop}: expected 0 <= start < stop")
    info = info or probe(source, folder_fps=folder_fps)
    if not info.fps:
        raise UserError(f"{source_name(source)}: no frame rate in it; re-encode it, or give a folder of frames")
    if start >= info.frames or (stop or 0) > info.frames:
        end = "the end" if stop is None else stop
        raise UserError(f"{source_name(source)} has {info.frames} frames: frames {start} to {end} were asked for")
    return info, range(start, sys.maxsize if stop is None else stop, subsample_step(info.fps, fps))


def read_frames(source: VideoSource, indices: Sequence[int] | np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Frames of a video by number.

    Args:
      source: a video file, its bytes, or a folder of images.
      indices: ascending frame numbers.
      threads: of the decoder, 0 for as many as the machine has cores. Loader workers are the parallelism of training.

    Returns:
      frames_FHWC, uint8 RGB.

    Raises:
      UserError: as `read_video`, and a video that ends before the last of ``indices``.
    """
    wanted = [int(index) for index in indices]
    out_FHWC: np.ndarray | None = None
    count = 0
    with contextlib.closing(_rgb(source, set(wanted), threads)) as frames:
        for count, frame_HWC in zip(range(1, len(wanted) + 1), frames):
            if out_FHWC is None:
                out_FHWC = np.empty((len(wanted), *frame_HWC.shape), np.uint8)
            out_FHWC[count - 1] = frame_HWC
    if out_FHWC is None or count < len(wanted):
        raise UserError(f"{source_name(source)}: ends before frame {wanted[count]}, which was requested")
    return out_FHWC


def video_pictures(
    source: VideoSource,
    wanted: Container[int] | None = None,
    *,
    threads: int = 0,
    size: tuple[int, int] | None = None,
    kept: KeptFilm | None = None,
) -> Generator[tuple[str, int, Picture], None, None]:
    """Yield (name for errors, number, picture) of the requested frames (None: all) of any kind of video or image.

    Args:
      source: a video file, its bytes, or a folder of images.
      wanted: numbers of the frames.
      threads: of the decoder, 0 for as many as the machine has cores.
      size: to which films are reduced, see `vp_jax.media.film.film_pictures`.
      kept: see there.

    Raises:
      UserError: unreadable, or the pictures differ in size.
    """
    before = None
    for name, index, picture in _pictures(source, wanted, threads, size, kept):
        here = picture.size
        _check_size(name, here, before or here)
        before = here
        yield name, index, picture


def as_folder(source: VideoSource) -> Path | None:
    """The folder that a source is, None for a file or bytes. `UserError` if there is nothing of that name."""
    return None if isinstance(source, bytes) or not is_folder(source) else Path(source)


def source_name(source: VideoSource) -> str:
    """A source as errors name it."""
    return "video" if isinstance(source, bytes) else show(source)


def _check_size(name: str, size: tuple[int, int], before: tuple[int, int]) -> None:
    if size != before:
        raise UserError(
            f"{name}: {size[1]}x{size[0]} pixels, but the frames before it are {before[1]}x{before[0]}: "
            "all frames of a video need one size"
        )


def _sizes(
    source: VideoSource,
    wanted: range,
    seen: Callable[[np.ndarray], object] | None,
    kept: KeptFilm | None,
    expected: int,
    started: StartedFilm | None,
) -> Iterator[tuple[str, int, int]]:
    """Name for errors, height and width of each frame of ``wanted`` that there is, decoded and not converted."""
    if as_folder(source) or image_info(source):
        for name, _, picture in _pictures(source, wanted, 0):
            if seen is not None:
                seen(picture.over_black())
            yield name, *picture.size
        return
    name, reformatter = source_name(source), VideoReformatter()
    opened = started.frames if started else None
    with contextlib.closing(opened or film_frames(_file(source), threads=0)) as frames:
        for decoded in frames:
            number, frame, (exchanged, *_), *_ = decoded
            if number in wanted:
                sides = (frame.width, frame.height) if exchanged else (frame.height, frame.width)
                if seen is not None:
                    seen(thumbnail(frame, reformatter))
                if kept is not None:
                    kept.add(decoded, expected)
                yield f"{name}, frame {number}", *sides
            if number == wanted[-1]:
                return


def _rgb(source: VideoSource, wanted: Container[int], threads: int) -> Generator[np.ndarray, None, None]:
    for _, _, picture in video_pictures(source, wanted, threads=threads):
        yield picture.over_black()


def _pictures(
    source: VideoSource,
    wanted: Container[int] | None,
    threads: int,
    size: tuple[int, int] | None = None,
    kept: KeptFilm | None = None,
) -> Iterator[tuple[str, int, Picture]]:
    name = source_name(source)
    if folder := as_folder(source):
        for index, file in enumerate(image_files(folder)):
            if wanted is None or index in wanted:
                yield show(file), index, read_picture(file)
    elif image_info(source):
        yield from ((f"{name}, picture {index}", index, picture) for index, picture in pictures(source, wanted))
    else:
        films = film_pictures(_file(source), wanted, threads=threads, size=size, kept=kept)
        yield from ((f"{name}, frame {index}", index, picture) for index, picture in films)


def _file(source: VideoSource) -> Path | bytes:
    return source if isinstance(source, bytes) else Path(source)


def _joined(frames: list[np.ndarray]) -> np.ndarray:
    """Frames as one array; the list is emptied on the way, so that a long video is not held twice."""
    out_FHWC = np.empty((len(frames), *frames[0].shape), frames[0].dtype)
    for place_HWC in out_FHWC[::-1]:
        place_HWC[:] = frames.pop()
    return out_FHWC
