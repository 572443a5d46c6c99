"""Reading videos: files, their bytes and folders of frames to uint8 arrays (writing: `vp_jax.media.video_writer`).

A video is a file that PyAV decodes (mp4, mov, mkv, webm, gif ...) or a folder of images in natural order
(``frame2.png`` before ``frame10.png``). Pixels are RGB uint8, upright (rotation metadata applied), over black where
there is alpha. Every decoded frame is kept: a variable frame rate is neither resampled nor thinned, and the rate given
back is the average, an exact fraction (30000/1001, not 29.97).

Thinning is done only on request and by the reference's rule (VPData and DAVIS at 8 frames per second): every k-th
frame, ``k = max(1, floor(fps / target))``, so 24, 25 and 30 frames per second all give k = 3.

Frames are counted in presentation order from 0 and decoded from the start of the file: consumer encoders put one key
frame into about 250 frames, so for ten-second clips seeking saves nothing and costs exactness. Only requested frames
are converted to RGB, which is the more expensive half of the work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import re
from collections.abc import Container, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps

from vp_jax.errors import UserError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
FOLDER_FPS = Fraction(8)
"""Rate of a folder of frames, which states none: the rate the models were trained at."""

CONVERSION = 0x4 | 0x2000 | 0x40000
"""How swscale changes colour spaces: bicubic, full-resolution chroma, accurate rounding. The default costs a mean
error of 1.9 of 255 on a 4:2:0 round trip of a photograph, this 0.6."""

Source = str | Path | bytes
"""A video file, a folder of images, or the bytes of a video file."""

_LATE_SECONDS = 1.0  # a last frame may be held this long before the file counts as cut short
_ANY_TITLE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Titles in other encodings than UTF-8 are no reason to refuse a video; PyAV 19 replaces what it cannot decode."""
_IMAGE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What `probe` finds: frame count, upright size in pixels, average frames per second, whether it has sound."""

    frames: int
    height: int
    width: int
    fps: Fraction
    has_audio: bool


def subsample_step(fps: Fraction | float, target: float | None) -> int:
    """Step k of the reference's thinning, ``max(1, floor(fps / target))``; 1 without a target.

    Raises:
      UserError: a target that is not above 0.
    """
    if target is None:
        return 1
    if not 0 < target < math.inf:
        raise UserError(f"fps {target:g}: expected a number above 0, or nothing to keep every frame")
    return max(1, int(fps // Fraction(target)))


def probe(source: Source) -> VideoInfo:
    """Frame count, size, rate and sound of a video, reading its index and one frame only.

    Raises:
      UserError: missing, unreadable or empty.
    """
    if folder := _folder(source):
        files = image_files(folder)
        height, width = read_image(files[0]).shape[:2]
        return VideoInfo(len(files), height, width, FOLDER_FPS, False)
    with _opened(source) as container:
        stream = container.streams.video[0]
        frames = stream.frames or sum(1 for packet in container.demux(stream) if packet.size)
        fps, has_audio = _rate(stream, source), bool(container.streams.audio)
    _, first_HWC = next(_decode(source, range(1)), (0, None))
    if first_HWC is None:
        raise UserError(f"{_name(source)}: no frame in it, expected a video of at least one")
    return VideoInfo(frames, first_HWC.shape[0], first_HWC.shape[1], fps, has_audio)


def read_video(
    path: str | Path, *, start: int = 0, stop: int | None = None, fps: float | None = None
) -> tuple[np.ndarray, Fraction]:
    """Frames ``[start, stop)`` of a video, thinned towards ``fps`` if that is given.

    Args:
      path: a video file or a folder of images.
      start, stop: source frames, before thinning; ``stop=None`` reads to the end.
      fps: requested rate; the real one is ``source / k``, see `subsample_step`.

    Returns:
      frames_FHWC, uint8 RGB; and their exact rate.

    Raises:
      UserError: missing or unreadable, no frames, damaged (with the frame at which decoding stopped), frames of
        different sizes, or a range outside of the video.
    """
    path = _existing(path)
    if start < 0 or (stop is not None and stop <= start):
        raise UserError(f"frames {start} to {'the end' if stop is None else stop}: expected 0 <= start < stop")
    source_fps = FOLDER_FPS
    if not path.is_dir():
        with _opened(path) as container:
            source_fps = _rate(container.streams.video[0], path)
    step = subsample_step(source_fps, fps)
    frames, count = [], 0
    for index, frame_HWC in enumerate(frame_images(path)):
        count = index + 1
        if index >= start and (index - start) % step == 0:
            frames.append(frame_HWC)
        if stop is not None and count >= stop:
            break
    if count == 0:
        raise UserError(f"{path}: no frame in it, expected a video of at least one")
    if not frames or (stop is not None and count < stop):
        raise UserError(f"{path} has {count} frames: frames {start} to {stop or 'the end'} were asked for")
    return _joined(frames), source_fps / step


def read_frames(source: Source, indices_F: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Frames of a video by number.

    Args:
      source: a video file, its bytes, or a folder of images.
      indices_F: ascending frame numbers.
      threads: of the decoder, 0 for as many as the machine has cores. Loader workers are the parallelism of training.

    Returns:
      frames_FHWC, uint8 RGB.

    Raises:
      UserError: as `read_video`, and a video that ends before the last of ``indices_F``.
    """
    wanted = [int(index) for index in indices_F]
    out_FHWC: np.ndarray | None = None
    count = 0
    with contextlib.closing(_indexed_frames(source, wanted, threads)) as frames:
        for count, frame_HWC in zip(range(1, len(wanted) + 1), _sized(frames)):
            if out_FHWC is None:
                out_FHWC = np.empty((len(wanted), *frame_HWC.shape), np.uint8)
            out_FHWC[count - 1] = frame_HWC
    if out_FHWC is None or count < len(wanted):
        raise UserError(f"{_name(source)}: ends before frame {wanted[count]}, which was requested")
    return out_FHWC


def _joined(frames: list[np.ndarray]) -> np.ndarray:
    """Frames as one array; the list is emptied on the way, so that a long video is not held twice."""
    out_FHWC = np.empty((len(frames), *frames[0].shape), frames[0].dtype)
    for place_HWC in out_FHWC[::-1]:
        place_HWC[:] = frames.pop()
    return out_FHWC


def frame_images(source: Source) -> Iterator[np.ndarray]:
    """Yield the frames of a video one by one, uint8 HWC RGB. `UserError` unless all have one size."""
    return _sized(_indexed_frames(source, None, 0))


def _sized(frames: Iterator[tuple[str, np.ndarray]]) -> Iterator[np.ndarray]:
    """Pass named frames on without their names; `UserError` at the first of another size."""
    size = None
    for name, frame_HWC in frames:
        if size is not None and frame_HWC.shape != size:
            raise UserError(
                f"{name}: {frame_HWC.shape[1]}x{frame_HWC.shape[0]} pixels, but the frames before it are "
                f"{size[1]}x{size[0]}: all frames of a video need one size"
            )
        size = frame_HWC.shape
        yield frame_HWC


def _indexed_frames(
    source: Source, wanted: list[int] | None, threads: int
) -> Generator[tuple[str, np.ndarray], None, None]:
    """Yield requested frames (None: all) with the name that an error gives them."""
    if folder := _folder(source):
        files = image_files(folder)
        chosen = files if wanted is None else [files[index] for index in wanted if index < len(files)]
        yield from ((str(file), read_image(file)) for file in chosen)
        return
    for index, frame_HWC in _decode(source, None if wanted is None else set(wanted), threads):
        yield f"{_name(source)}, frame {index}", frame_HWC


def image_files(folder: Path) -> list[Path]:
    """Images of a folder in natural order; hidden and other files are passed over. `UserError` if there are none."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith(".")]
    if not files:
        raise UserError(f"{folder}: no images in this folder, expected frames such as 00000.png or 00000.jpg")
    return sorted(files, key=natural_order)


def natural_order(file: Path) -> list[tuple[int, int, str]]:
    """Key to sort files by, numbers in their names by value: ``frame2.png`` before ``frame10.png``."""
    return [(0, int(s), "") if s.isdigit() else (1, 0, s) for s in re.split(r"(\d+)", file.name) if s]


def read_image(path: str | Path) -> np.ndarray:
    """One image as uint8 HWC RGB, upright, over black where it is transparent. `UserError` if it cannot be read."""
    with opened_image(path) as image:
        return _rgb(image)


@contextlib.contextmanager
def opened_image(path: str | Path) -> Iterator[Image.Image]:
    """A decoded Pillow image, turned upright; its mode is the file's. `UserError` if it cannot be read."""
    path = _existing(path)
    try:
        with Image.open(path) as image:
            image.load()
            yield ImageOps.exif_transpose(image)
    except _IMAGE_ERRORS as error:
        raise UserError(f"{path}: cannot be read as an image ({_short(error)})") from error


def over_black(image: Image.Image) -> Image.Image:
    """Composite an image with alpha (or a transparent palette entry) over black; others come back as they are."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip at 255 instead of scaling
        grey_HW = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey_HW[:, :, None], 3, axis=2)
    return np.asarray(over_black(image).convert("RGB"))


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    return path


def _folder(source: Source) -> Path | None:
    """The folder that a source is, None for a file or bytes."""
    return None if isinstance(source, bytes) or not _existing(source).is_dir() else Path(source)


def _name(source: Source) -> str:
    return "video" if isinstance(source, bytes) else str(source)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[av.container.InputContainer]:
    name = _name(source)
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else f"file:{_existing(source)}"
        container = av.open(file, "r", **_ANY_TITLE)
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{name}: cannot be read as a video ({_short(error)}); is the file complete?") from error
    with container:
        if not container.streams.video:
            raise UserError(f"{name}: no video stream in it (sound only?)")
        if container.streams.video[0].codec_context is None:
            raise UserError(f"{name}: FFmpeg does not know the codec of its video stream; re-encode it")
        yield container


def _rate(stream: av.VideoStream, source: Source) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise UserError(f"{_name(source)}: no frame rate in it; re-encode it, or give a folder of frames")
    return Fraction(rate)


def _decode(source: Source, wanted: Container[int] | None = None, threads: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, RGB frame) of the requested frames of a file (None: all).

    Who has all it wants stops asking; whoever asks on gets to the end of the file, where missing ends show. Damage and
    missing ends are errors that name the frame reached.
    """
    name, done, packets, end = _name(source), 0, 0, 0.0
    with _opened(source) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        try:
            for packet in container.demux(stream):
                packets += bool(packet.size)
                for frame in packet.decode():
                    if frame.is_corrupt:
                        raise UserError(f"{name}: damaged, decoding stopped at frame {done}")
                    if wanted is None or done in wanted:
                        yield done, _frame_array(frame)
                    done, end = done + 1, float(frame.time or 0.0)
        except av.error.FFmpegError as error:
            raise UserError(f"{name}: damaged, decoding stopped at frame {done} ({_short(error)})") from error
        # containers that promise more than they hold end without an error
        if packets < stream.frames:
            raise UserError(f"{name}: cut short, decoding stopped at frame {done} of {stream.frames}")
        promised = _promised_seconds(stream)
        if promised is not None and end + _LATE_SECONDS < promised:
            raise UserError(f"{name}: cut short, decoding stopped at frame {done} ({end:.1f} of {promised:.1f} s)")


def _promised_seconds(stream: av.VideoStream) -> float | None:
    """Length of the stream by the tag that Matroska and WebM files carry, ``hh:mm:ss.fraction``."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return float(match[1]) * 3600 + float(match[2]) * 60 + float(match[3]) if match else None


def _frame_array(frame: av.VideoFrame) -> np.ndarray:
    if any(component.is_alpha for component in frame.format.components) or frame.format.has_palette:
        rgba_HWC = frame.to_ndarray(format="rgba", interpolation=CONVERSION).astype(np.uint16)
        rgb_HWC = ((rgba_HWC[..., :3] * rgba_HWC[..., 3:] + 127) // 255).astype(np.uint8)
    else:
        rgb_HWC = frame.to_ndarray(format="rgb24", interpolation=CONVERSION)
    # the angle is counter-clockwise, in quarter turns in every file that phones and cameras write
    return np.ascontiguousarray(np.rot90(rgb_HWC, round(frame.rotation / 90)))


def _short(error: BaseException) -> str:
    """First line of a library's message, without its errno and file name."""
    text = (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\s+", " ", text).strip().rstrip(".")[:120]
