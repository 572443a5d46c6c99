"""Write frames so that nothing is lost: exact size, count and rate, sound copied, the old file kept until success.

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

import contextlib
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
from vp_jax.media.film import CONVERSION
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
    audio_from: str | Path | None = None,
    audio_start: float = 0.0,
) -> bool:
    """Write frames, one at a time, under a temporary name, and move the finished file into place.

    Args:
      path: output; its suffix chooses the format, see the table above. Missing folders are made.
      frames: uint8 HWC RGB, all of one size: an array_FHWC or any iterable.
      fps: frames per second, a `Fraction` for an exact rate.
      audio_from: file whose first sound stream is copied, not re-encoded, if it has one and the format can hold it.
      audio_start: second of that stream that belongs to the first frame; sound ends with the last frame.

    Returns:
      Whether sound was copied.

    Raises:
      UserError: no frames, unknown suffix, or the file cannot be written (folder, disk space).
    """
    path = check_output(path)
    fps = Fraction(fps).limit_denominator(1001 * 1000)
    stream = iter(frames)
    first_HWC = next(stream, None)
    if first_HWC is None:
        raise UserError(f"{path}: no frames to write")
    with replacing(path) as partial:
        try:
            if path.suffix:
                return _encode(partial, _chain(first_HWC, stream), fps, _audio_packets(audio_from, audio_start))
            _write_folder(partial, _chain(first_HWC, stream))
            return False
        except av.error.FFmpegError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


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


def _encode(path: Path, frames: Iterator[np.ndarray], fps: Fraction, audio: Iterator[av.Packet[Any]]) -> bool:
    first_HWC = next(frames)
    suffix, (height, width) = path.suffix.lower(), first_HWC.shape[:2]
    choice = next((e for e in _ENCODERS[suffix] if e[0] in av.codecs_available), None)
    if choice is None:
        raise UserError(f"{path.name}: this PyAV cannot encode {suffix}, write .mp4 or a folder (no suffix) instead")
    codec, even_format, odd_format, options = choice
    # bitexact: no random numbers and no version of the library in the file, equal frames give equal bytes
    muxer = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {})
    sound = next(audio, None)
    if sound is not None and not _holds(path, sound.stream):
        sound = None
    with av.open(str(path), "w", options=muxer) as container:
        video = cast(av.VideoStream, container.add_stream(codec, rate=fps, options=options))
        video.height, video.width = height, width
        video.pix_fmt = pixel_format = odd_format if height % 2 or width % 2 else even_format
        if pixel_format.startswith("yuv"):
            _tag_colours(video)
        sound_stream = None if sound is None else container.add_stream_from_template(sound.stream)
        for index, frame_HWC in enumerate(_chain(first_HWC, frames)):
            container.mux(video.encode(_to_frame(frame_HWC, pixel_format)))
            while sound_stream is not None and sound is not None and _seconds(sound) < (index + 1) / fps:
                sound.stream = sound_stream
                container.mux(sound)
                sound = next(audio, None)
        container.mux(video.encode())
    return sound_stream is not None


def _tag_colours(video: av.VideoStream) -> None:
    context = video.codec_context
    context.colorspace = context.color_primaries = context.color_trc = context.color_range = _BT709


def _holds(path: Path, sound: av.AudioStream) -> bool:
    """Whether the format of ``path`` takes this sound: tried out, its list of codecs is longer than what it writes."""
    try:
        with av.open(str(path), "w") as trial:
            if sound.codec_context is None or sound.codec_context.name not in trial.supported_codecs:
                return False
            trial.add_stream_from_template(sound)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


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


def _seconds(packet: av.Packet[Any]) -> Fraction:
    return (packet.pts or 0) * (packet.time_base or Fraction(0))


def _audio_packets(path: str | Path | None, start: float) -> Iterator[av.Packet[Any]]:
    """Sound packets from second ``start`` on, their times counted from there; none for a folder or a silent file.

    A file that was deleted or damaged since ends the sound, not the video.
    """
    if path is None or Path(path).is_dir():
        return
    with contextlib.suppress(av.error.FFmpegError, OSError), av.open(str(path)) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        shift = round(start / (stream.time_base or 1))
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and packet.pts >= shift:
                packet.pts, packet.dts = packet.pts - shift, None if packet.dts is None else packet.dts - shift
                yield packet
