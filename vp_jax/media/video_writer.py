"""Write frames so that nothing is lost: size, count, times and streams are the source's.

The old file is kept until the new one is finished.

======== ============================================ ==============================================================
suffix   what is written                              pixels
======== ============================================ ==============================================================
mp4 mov  H.264, crf 17 (MPEG-4 if libx264 is missing) 4:2:0, near-lossless to the eye; 4:4:4 when a side is odd
webm     VP9, crf 20                                  4:2:0
mkv      FFV1                                         RGB, bit-exact
gif      palette of 256 colours per frame             dithered; GIF time runs in steps of 1/100 s
(none)   a folder of 00000.png, 00001.png ...         RGB, bit-exact
======== ============================================ ==============================================================

Equal frames give equal bytes, but for mp4 and mov, where x264 may decide by memory that it never set.

Colours are written as BT.709, limited range, and tagged so, which is what players assume of HD video.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vp_jax.errors import UserError
from vp_jax.files import check_writable, replacing
from vp_jax.media.carried import Carried, TrackSource
from vp_jax.media.clock import FrameClock
from vp_jax.media.film import CONVERSION
from vp_jax.media.pace import Pace
from vp_jax.media.tracks import Tracks
from vp_jax.reading import check_regular

# suffix -> (codec, pixel format for even sides, pixel format for odd sides, codec options), best first
_H264 = [
    ("libx264", "yuv420p", "yuv444p", {"crf": "17", "preset": "medium"}),
    ("mpeg4", "yuv420p", "yuv420p", {"qscale": "2", "flags": "+qscale"}),
]
_ENCODERS: dict[str, list[tuple[str, str, str, dict[str, str]]]] = {
    ".mp4": _H264,
    ".mov": _H264,
    ".webm": [("libvpx-vp9", "yuv420p", "yuv420p", {"crf": "20", "b": "0", "row-mt": "1", "cpu-used": "4"})],
    ".mkv": [("ffv1", "bgr0", "bgr0", {"level": "3", "slices": "4"})],
    ".gif": [("gif", "pal8", "pal8", {})],
}
_BT709 = 1
_OWN_FRAME = re.compile(r"\d{5,}\.png")
_MARK = ("Software", "vp_jax")
"""Text in every PNG of a folder: it may be replaced by another result."""


def check_output(path: str | Path) -> Path:
    """Check, before any work, that ``path`` can be written: known suffix, no folder of other files, writable place.

    Missing parent folders are made by `write_video`, not here.

    Raises:
      UserError: with the suffixes that are known, or with what stands in the way.
    """
    path = Path(path)
    check_writable(path)
    if path.exists() and not path.is_dir():
        check_regular(path)
    if path.suffix and path.suffix.lower() not in _ENCODERS:
        known = ", ".join(_ENCODERS)
        raise UserError(f"{path}: cannot write {path.suffix}, expected {known}, or no suffix for a folder of PNGs")
    if path.suffix and path.is_dir():
        raise UserError(f"{path}: is a folder, expected a file name; leave the suffix off to write PNG frames")
    if not path.suffix and path.exists():
        if path.is_file():
            raise UserError(f"{path}: is a file, expected a new or empty folder, or a suffix: {', '.join(_ENCODERS)}")
        strange = next((file for file in sorted(path.iterdir()) if not _is_ours(file)), None)
        if strange is not None:
            raise UserError(
                f"{path}: holds {strange.name}, which this program did not write; give a new or empty folder"
            )
    return path


def _is_ours(file: Path) -> bool:
    """Whether a file is a frame that `write_video` wrote into a folder: by its name, and the mark in it."""
    if not _OWN_FRAME.fullmatch(file.name) or file.is_symlink() or not file.is_file():
        return False
    try:
        with Image.open(file) as image:
            return image.info.get(_MARK[0]) == _MARK[1]
    except OSError:
        return False


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    *,
    clock: FrameClock | None = None,
    tracks: TrackSource | None = None,
) -> tuple[Carried, ...]:
    """Write frames, one at a time, under a temporary name, and move the finished file into place.

    Args:
      path: output; its suffix chooses the format, see the table above. Missing folders are made.
      frames: uint8 HWC RGB, all of one size: an array_FHWC or any iterable.
      fps: frames per second, a `Fraction` for an exact rate; the average where ``clock`` is uneven.
      clock: when each frame is shown; None: evenly spaced from 0 on.
      tracks: file whose other streams, chapters and tags go with the frames.

    Returns:
      What became of each stream of ``tracks``, see `vp_jax.media.tracks`, and of the times.

    Raises:
      UserError: no frames, unknown suffix, or the file cannot be written (folder, disk space).
    """
    path = check_output(path)
    fps = Fraction(fps).limit_denominator(1001 * 1000)
    stream = iter(frames)
    first_HWC = next(stream, None)
    if first_HWC is None:
        raise UserError(f"{path}: no frames to write")
    suffix = path.suffix.lower()
    pace = Pace(fps, clock, suffix)
    with replacing(path) as partial, Tracks(tracks, suffix) as carried:
        try:
            if path.suffix:
                _encode(partial, _chain(first_HWC, stream), pace, carried)
            else:
                carried.join(None, None)
                _write_folder(partial, _chain(first_HWC, stream))
        except av.error.FFmpegError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
        lines = carried.report(partial)
    return (*lines, Carried("times", "lost", f"times: {pace.note()}")) if pace.note() else lines


def encode_mp4(frames_FHWC: np.ndarray, fps: float, crf: int = 12) -> bytes:
    """H.264 in mp4, 4:4:4 so that odd sizes and colour edges survive: the bytes of a file.

    Args:
      frames_FHWC: uint8 RGB.
      fps: frames per second.
      crf: quality, 0 (lossless but for RGB to YUV) to 51.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames_FHWC.shape[1:3]
        # without mbtree, which this x264 computes from memory it never set: equal frames would give other bytes
        stream.pix_fmt, stream.options = "yuv444p", {"crf": str(crf), "preset": "fast", "x264-params": "mbtree=0"}
        _tag_colours(stream)
        for frame_HWC in frames_FHWC:
            container.mux(stream.encode(_to_frame(frame_HWC, "yuv444p")))
        container.mux(stream.encode())
    return file.getvalue()


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _write_folder(folder: Path, frames: Iterable[np.ndarray]) -> None:
    folder.mkdir()
    mark = PngInfo()
    mark.add_text(*_MARK)
    for index, frame_HWC in enumerate(frames):
        Image.fromarray(frame_HWC).save(folder / f"{index:05d}.png", compress_level=4, pnginfo=mark)


def _encode(path: Path, frames: Iterator[np.ndarray], pace: Pace, tracks: Tracks) -> None:
    first_HWC = next(frames)
    suffix, (height, width) = path.suffix.lower(), first_HWC.shape[:2]
    choice = next((e for e in _ENCODERS[suffix] if e[0] in av.codecs_available), None)
    if choice is None:
        raise UserError(f"{path.name}: this PyAV cannot encode {suffix}, write .mp4 or a folder (no suffix) instead")
    codec, even_format, odd_format, options = choice
    # bitexact: no random numbers and no version of the library in the file, equal frames give equal bytes
    muxer = {"fflags": "+bitexact"}
    if suffix in (".mp4", ".mov"):  # starts and ends are stated in the movie's time base, which is 1 ms by default
        muxer |= {"movflags": "+faststart", "movie_timescale": "90000"}
    with av.open(str(path), "w", options=muxer) as container:
        video = cast(av.VideoStream, container.add_stream(codec, rate=pace.rate, options=options))
        video.height, video.width = height, width
        video.pix_fmt = pixel_format = odd_format if height % 2 or width % 2 else even_format
        if pixel_format.startswith("yuv"):
            _tag_colours(video)
        pace.set_up(video)
        tracks.join(container, video)
        for index, frame_HWC in enumerate(_chain(first_HWC, frames)):
            frame = pace.stamp(_to_frame(frame_HWC, pixel_format), index)
            container.mux(pace.timed(video.encode(frame)))
            tracks.write(container, until=pace.seconds(index))
        container.mux(pace.timed(video.encode()))
        tracks.finish(container)


def _tag_colours(video: av.VideoStream) -> None:
    context = video.codec_context
    context.colorspace = context.color_primaries = context.color_trc = context.color_range = _BT709


def _to_frame(frame_HWC: np.ndarray, pixel_format: str) -> av.VideoFrame:
    if pixel_format == "pal8":
        image = Image.fromarray(frame_HWC).quantize(256)
        colours = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        argb = np.full((256, 4), 255, np.uint8)
        argb[: len(colours), 1:] = colours
        return av.VideoFrame.from_ndarray(cast(Any, (np.asarray(image), argb)), "pal8")  # a pair, not in its types
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), "rgb24")
    if not pixel_format.startswith("yuv"):
        return frame.reformat(format=pixel_format)
    return frame.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=CONVERSION,
    )
