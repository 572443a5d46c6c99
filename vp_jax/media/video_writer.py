"""Write frames so that nothing is lost: size, count, times and streams are the source's.

The old file is kept until the new one is finished.

`write_video` takes 8-bit RGB, `write_frames` frames of any pixel format (`vp_jax.media.native_writer` makes them in the
source's own). Which encoder writes which pixels: `vp_jax.media.encoders`. A name without suffix is a folder of
00000.png, 00001.png ...; gif has a dithered palette of 256 colours per frame, and time in steps of 1/100 s.

Equal frames give equal bytes, but for mp4 and mov, where x264 may decide by memory that it never set.

8-bit RGB becomes BT.709 of limited range and is tagged so, which is what players assume of HD video.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.files import check_writable, replacing
from vp_jax.media import matroska
from vp_jax.media.ahead import ahead
from vp_jax.media.clock import FrameClock
from vp_jax.media.encoders import SUFFIXES, track_for_arrays
from vp_jax.media.pace import Pace
from vp_jax.media.pixels.colour import BT709
from vp_jax.media.pixels.pixel_format import CONVERSION
from vp_jax.media.stills import PNG, is_marked, marked
from vp_jax.media.streams.carried import Carried, TrackSource
from vp_jax.media.streams.tracks import Tracks
from vp_jax.media.video_track import VideoTrack
from vp_jax.reading import check_regular

T = TypeVar("T")


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
    if path.suffix and path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{path}: cannot write {path.suffix}, expected {known}, or no suffix for a folder of PNGs")
    if path.suffix and path.is_dir():
        raise UserError(f"{path}: is a folder, expected a file name; leave the suffix off to write PNG frames")
    if not path.suffix and path.exists():
        if path.is_file():
            raise UserError(f"{path}: is a file, expected a new or empty folder, or a suffix: {', '.join(SUFFIXES)}")
        strange = next((file for file in sorted(path.iterdir()) if not is_marked(file)), None)
        if strange is not None:
            raise UserError(
                f"{path}: holds {strange.name}, which this program did not write; give a new or empty folder"
            )
    return path


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    *,
    quality: int | None = None,
    keyframes: int | None = None,
    clock: FrameClock | None = None,
    tracks: TrackSource | None = None,
    growing: bool = False,
) -> tuple[Carried, ...]:
    """Write 8-bit RGB frames; see `write_frames`.

    Args:
      path: output; its suffix chooses the format.
      frames: uint8 HWC RGB, all of one size: an array_FHWC or any iterable.
      fps: frames per second, a `Fraction` for an exact rate; the average where ``clock`` is uneven.
      quality: of lossy formats, see `vp_jax.media.encoders`.
      keyframes: most frames from one key frame to the next, for players that jump; None: as the encoder likes.
      clock: when each frame is shown; None: evenly spaced from 0 on.
      tracks: file whose other streams, chapters and tags go with the frames.
      growing: see `write_frames`.

    Returns:
      What became of each stream of ``tracks``, see `vp_jax.media.streams.tracks`, and of the times.

    Raises:
      UserError: no frames, unknown suffix, or the file cannot be written (folder, disk space).
    """
    path, fps = check_output(path), Fraction(fps).limit_denominator(1001 * 1000)
    stream = iter(frames)
    first_HWC = next(stream, None)
    if first_HWC is None:
        raise UserError(f"{path}: no frames to write")
    all_frames = _chain(first_HWC, stream)
    if not path.suffix:
        return write_images(path, map(_png, all_frames), fps, clock=clock, tracks=tracks)
    track = track_for_arrays(path.suffix.lower(), first_HWC.shape[:2], quality)
    if keyframes is not None:
        track = track._replace(options={**track.options, "g": str(keyframes)})
    converted = (_to_frame(frame_HWC, track.pix_fmt) for frame_HWC in all_frames)
    return write_frames(path, converted, track, fps, clock=clock, tracks=tracks, growing=growing)


def write_frames(
    path: str | Path,
    frames: Iterable[av.VideoFrame],
    track: VideoTrack,
    fps: Fraction | float,
    *,
    clock: FrameClock | None = None,
    tracks: TrackSource | None = None,
    growing: bool = False,
) -> tuple[Carried, ...]:
    """Write frames, one at a time, under a temporary name, and move the finished file into place.

    Missing folders are made.

    Args:
      path: output file.
      frames: at least one, in the format of ``track``.
      track: encoder and tags.
      fps: see `write_video`.
      clock: see there.
      tracks: see there.
      growing: an mp4 of fragments, written in its place, that players show while it grows.

    Returns:
      See there.

    Raises:
      UserError: the file cannot be written (folder, disk space).
    """
    path = Path(path)
    suffix = path.suffix.lower()
    pace = Pace(Fraction(fps).limit_denominator(1001 * 1000), clock, suffix)
    place: contextlib.AbstractContextManager[Path] = contextlib.nullcontext(path) if growing else replacing(path)
    with place as partial, Tracks(tracks, suffix) as carried:
        try:
            _encode(partial, iter(frames), track, pace, carried, growing=growing)
        except av.error.FFmpegError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
        if track.reserves_room:
            matroska.describe_video(partial, track.pixel_shape, track.mastering, track.content_light)
        return (*carried.report(partial), *_untold(pace))


def write_images(
    folder: str | Path,
    contents: Iterable[bytes],
    fps: Fraction | float,
    *,
    suffix: str = PNG,
    clock: FrameClock | None = None,
    tracks: TrackSource | None = None,
) -> tuple[Carried, ...]:
    """Write images of `vp_jax.media.stills`, marked as ours, into a new folder that replaces an old one of ours.

    Returns:
      What a folder cannot hold, see `write_video`.
    """
    with replacing(Path(folder)) as partial, Tracks(tracks, "") as carried:
        carried.join(None, None)
        partial.mkdir()
        for index, content in enumerate(contents):
            (partial / f"{index:05d}{suffix}").write_bytes(marked(content, suffix))
        return (*carried.report(partial), *_untold(Pace(Fraction(fps), clock, "")))


def _untold(pace: Pace) -> tuple[Carried, ...]:
    """What the format cannot say of the frames' times."""
    return (Carried("times", "lost", f"times: {pace.note()}"),) if pace.note() else ()


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
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = BT709
        for frame_HWC in frames_FHWC:
            container.mux(stream.encode(_to_frame(frame_HWC, "yuv444p")))
        container.mux(stream.encode())
    return file.getvalue()


def _chain(first: T, rest: Iterator[T]) -> Iterator[T]:
    yield first
    yield from rest


def _png(frame_HWC: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame_HWC).save(file, "PNG", compress_level=4)
    return file.getvalue()


def _encode(
    path: Path, frames: Iterator[av.VideoFrame], track: VideoTrack, pace: Pace, tracks: Tracks, *, growing: bool = False
) -> None:
    # bitexact: no random numbers and no version of the library in the file, equal frames give equal bytes
    muxer = {"fflags": "+bitexact"}
    if path.suffix.lower() in (
        ".mp4",
        ".mov",
    ):  # starts and ends are stated in this time base, which is 1 ms by default
        moves = "+frag_keyframe+empty_moov+default_base_moof" if growing else "+faststart"
        muxer |= {"movflags": moves, "movie_timescale": "90000"} | ({"flush_packets": "1"} if growing else {})
    first = next(frames)
    with av.open(str(path), "w", options=muxer) as container:
        video = _add_video(container, track, (first.height, first.width), pace.rate)
        pace.set_up(video)
        tracks.join(container, video)
        if track.reserves_room:
            video.metadata["title"] = video.metadata.get("title", "") + matroska.RESERVED
        # what grows gets its frames while they are sampled: there is nothing to make in advance
        with contextlib.nullcontext(frames) if growing else contextlib.closing(ahead(frames)) as rest:
            for index, frame in enumerate(_chain(first, rest)):
                container.mux(pace.timed(video.encode(pace.stamp(frame, index))))
                if track.codec == "libsvtav1" and index == 0:
                    leave_real_time()
                tracks.write(container, until=pace.seconds(index))
        container.mux(pace.timed(video.encode()))
        tracks.finish(container)


def _add_video(
    container: av.container.OutputContainer, track: VideoTrack, size: tuple[int, int], fps: Fraction
) -> av.VideoStream:
    if track.codec == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only: it prints its settings on stderr
    video = cast(av.VideoStream, container.add_stream(track.codec, rate=fps, options=dict(track.options)))
    video.height, video.width = size
    video.pix_fmt = track.pix_fmt
    context = video.codec_context
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = track.colours
    if track.pixel_shape is not None:
        context.sample_aspect_ratio = track.pixel_shape
    if track.top_first is not None:
        context.field_order = 2 if track.top_first else 3
    if track.tag and container.format.name in ("mp4", "mov"):
        context.codec_tag = track.tag
    return video


def leave_real_time() -> None:
    """Give all threads of this process the usual priority.

    SVT-AV1 takes the highest real-time priority where it may, which root does, and leaves it to the process: nothing
    else would run beside it.
    """
    if not hasattr(os, "sched_setscheduler"):
        return
    for thread in map(int, os.listdir("/proc/self/task")):
        with contextlib.suppress(OSError):  # it has ended
            if os.sched_getscheduler(thread) in (os.SCHED_FIFO, os.SCHED_RR):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


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
