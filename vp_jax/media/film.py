"""Reading video files with PyAV: every coded frame once, in presentation order, upright, in the right colours.

What is taken care of, because files in the wild need it:

* the display matrix, mirrored ones included (phones, scanners);
* edit lists: frames that the container cuts away are not frames of the film;
* colours: matrix and range as tagged; untagged films are BT.709 from 720 rows or 1280 columns on, else BT.601; HDR
  and wide gamuts become SDR (`vp_jax.media.pixels.light`);
* transparency, also that of WebM, which only libvpx decodes;
* AVI files that drop frames (null frames): what is stored counts, and the rate is lowered to keep the duration.

Frames are decoded from the start of the file: consumer encoders put one key frame into about 250 frames, so for
ten-second clips seeking saves nothing and costs exactness. Only requested frames are converted to RGB, which is the
more expensive half of the work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Container, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter

from vp_jax.errors import UserError
from vp_jax.media import ffv1
from vp_jax.media.av_versions import ANY_TITLE, exact, exact_or_none
from vp_jax.media.decoded_frame import DecodedFrame
from vp_jax.media.endings import ends_intact, is_broken_inside
from vp_jax.media.frame_pictures import picture_of
from vp_jax.media.images import MOST_PIXELS, Picture
from vp_jax.media.inputs import open_regular, reason
from vp_jax.media.kept_film import KeptFilm
from vp_jax.media.packet_times import PacketTimes, stated_seconds
from vp_jax.reading import show

_LATE_SECONDS = 1.0  # a last frame may be held this long before the file counts as cut short
# no playlist may open other files or addresses
_OPEN: dict[str, Any] = {"options": {"protocol_whitelist": "pipe"}, **ANY_TITLE}
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_QUARTER_TURNS = ((False, False, False), (True, False, True), (False, True, True), (True, True, False))
_IMAGE_CONTAINERS = ("gif", "apng", "image2")


@dataclasses.dataclass(frozen=True)
class FilmInfo:
    """What a video file holds, by its index and first frame.

    Attributes:
      frames: stored frames, without those that an edit list cuts away.
      height, width: upright, in pixels.
      fps: average rate, an exact fraction; 0 if the file states none.
      has_audio: it has a sound stream.
      still: it is a format for images and holds one.
      note: what the file promises and does not hold, though it is complete; "" if nothing.
    """

    frames: int
    height: int
    width: int
    fps: Fraction
    has_audio: bool
    still: bool = False
    note: str = ""


class StartedFilm(NamedTuple):
    """A film that is being decoded, opened once for what it says of itself and for its frames.

    Attributes:
      info: by its index.
      first: its first frame.
      frames: all of them, as of `film_frames`.
      opened: what is closed with it.
    """

    info: FilmInfo
    first: DecodedFrame
    frames: Generator[DecodedFrame, None, None]
    opened: contextlib.ExitStack

    def close(self) -> None:
        """Close the file."""
        self.frames.close()
        self.opened.close()


def film_info(source: Path | bytes) -> FilmInfo:
    """Count, size, rate and sound of a video file; see `look_at_film`."""
    return look_at_film(source)[0]


def look_at_film(source: Path | bytes) -> tuple[FilmInfo, DecodedFrame]:
    """Count, size, rate and sound of a video file, and its first frame, which had to be decoded for them.

    Raises:
      UserError: missing, unreadable, without frames, or larger than 64 million pixels a frame.
    """
    name, counted, reached, first, end = film_name(source), 0, 0, None, 0.0
    with open_film(source) as (container, stream):
        indexed, decoder = _indexed_frames(container, stream), _decoder(stream, name, 1)
        expected = expected_packets(container, stream)
        try:
            for packet in container.demux(stream):
                counted += bool(packet.size) and not packet.is_discard
                reached = _reached(container, packet, reached)
                end = max(end, float((packet.pts or 0) * (stream.time_base or 0)))
                for frame in decoder.decode(packet if packet.size else None) if first is None else ():
                    first = first or _decoded(0, frame, _orientation(frame), decoder, stream)
                if first is not None and indexed is not None:
                    break
        except (av.error.FFmpegError, OSError) as error:
            raise UserError(f"{name}: damaged at its first frame ({reason(error)})") from error
        if first is None:
            if is_broken_inside(source):
                raise UserError(f"{name}: damaged, decoding stopped at frame 0")
            raise UserError(f"{name}: no frame in it, expected a video of at least one")
        missing = "" if indexed is not None else missing_part(stream, reached, expected, end)
        note = f"{name}: complete, but shorter than it says ({missing})" if missing and ends_intact(source) else ""
        rate = _rate(container, stream, counted, reached)
        return _info(counted if indexed is None else indexed, first, rate, container, note), first


def start_film(source: Path | bytes, times: PacketTimes | None = None) -> StartedFilm | None:
    """Open a film and decode its first frame; None where an index does not tell its count, or where it is damaged.

    `look_at_film` says then what there is, or what is wrong.

    Args:
      source: a path, or the bytes of a file.
      times: see `film_frames`.

    Raises:
      UserError: it cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        container, stream = stack.enter_context(open_film(source))
        indexed = _indexed_frames(container, stream)
        frames = _frames_of(source, container, stream, None, 0, times)
        try:
            first = None if indexed is None else next(frames, None)
        except UserError:
            return None
        if indexed is None or first is None:
            return None
        info = _info(indexed, first, exact(stream.average_rate or stream.guessed_rate or 0), container, "")
        opened = stack.pop_all()
    opened.callback(frames.close)
    return StartedFilm(info, first, _with_first(first, frames), opened)


def _with_first(first: DecodedFrame, rest: Iterator[DecodedFrame]) -> Generator[DecodedFrame, None, None]:
    yield first
    yield from rest


def _info(
    frames: int, first: DecodedFrame, rate: Fraction, container: av.container.InputContainer, note: str
) -> FilmInfo:
    formats = container.format.name
    still = frames == 1 and (formats in _IMAGE_CONTAINERS or formats.endswith("_pipe"))
    return FilmInfo(frames, *_upright_size(first), rate, bool(container.streams.audio), still, note)


def film_pictures(
    source: Path | bytes,
    wanted: Container[int] | None = None,
    *,
    threads: int = 0,
    size: tuple[int, int] | None = None,
    kept: KeptFilm | None = None,
) -> Iterator[tuple[int, Picture]]:
    """Yield (number, picture) of the requested frames of a video file; see `film_frames`.

    Args:
      source: see there.
      wanted: see there.
      threads: see there.
      size: height and width, if not the film's. Plain 8-bit Y'CbCr is reduced before it is converted, which takes a
        quarter of the time; other formats come as they are.
      kept: frames of the film; those are not decoded again.
    """

    reformatter = VideoReformatter()

    def converted(decoded: DecodedFrame) -> tuple[int, Picture]:
        return decoded.number, picture_of(decoded.frame, decoded.orientation, decoded.lossless, size, reformatter)

    if kept is not None and kept.complete and wanted is not None:
        yield from kept.converted(wanted, converted)
    else:
        yield from map(converted, film_frames(source, wanted, threads=threads))


def film_frames(
    source: Path | bytes,
    wanted: Container[int] | None = None,
    *,
    threads: int = 0,
    times: PacketTimes | None = None,
) -> Generator[DecodedFrame, None, None]:
    """Yield the requested frames of a video file as they are decoded: not converted, not turned.

    Decoding stops when the caller stops iterating. Iterating to the end also checks that the file is complete; a
    stale count or duration in a complete file is no fault, see `FilmInfo.note`.

    Args:
      source: a path, or the bytes of a file.
      wanted: numbers of the frames; ``None``: all.
      threads: of the decoder, 0 for as many as the machine has cores.
      times: takes the times of all packets, if the caller iterates to the end.

    Raises:
      UserError: unreadable, damaged or cut short, with the number of the frame reached.
    """
    with open_film(source) as (container, stream):
        yield from _frames_of(source, container, stream, wanted, threads, times)


def _frames_of(
    source: Path | bytes,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    wanted: Container[int] | None,
    threads: int,
    times: PacketTimes | None,
) -> Generator[DecodedFrame, None, None]:
    """The frames of `film_frames`, of an opened film."""
    name, done, packets, reached, end = film_name(source), 0, 0, 0, 0.0
    expected, decoder = expected_packets(container, stream), _decoder(stream, name, threads)
    checked, orientation = decoder.codec.name == "ffv1", (False, False, False)
    if times is not None:
        times.begin(container, stream)
    try:
        for packet in container.demux(stream):
            if times is not None:
                times.add(packet)
            packets += bool(packet.size)
            reached = _reached(container, packet, reached)
            if checked and packet.size and ffv1.is_damaged(decoder.extradata or b"", bytes(packet)):
                raise UserError(f"{name}: frame {packets - 1} is damaged (its checksum is wrong), copy the file again")
            for frame in decoder.decode(packet if packet.size else None):
                if frame.is_corrupt:
                    raise UserError(f"{name}: damaged, decoding stopped at frame {done}")
                orientation = orientation if done else _orientation(frame)
                if wanted is None or done in wanted:
                    yield _decoded(done, frame, orientation, decoder, stream)
                done, end = done + 1, float((frame.pts or 0) * (stream.time_base or 0))
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{name}: damaged, decoding stopped at frame {done} ({reason(error)})") from error
    if is_broken_inside(source):
        if threads != 1:  # several threads may overlook damage of the last frame they reach: name that frame
            for _ in film_frames(source, (), threads=1):
                pass
        raise UserError(f"{name}: damaged, decoding stopped at frame {done}")
    # containers that promise more than they hold end without an error
    missing = missing_part(stream, reached, expected, end)
    if missing and not ends_intact(source):
        raise UserError(f"{name}: cut short, decoding stopped at frame {done} ({missing})")
    if times is not None:
        times.end(stream, complete=True)


def film_name(source: Path | bytes) -> str:
    """A film as errors name it."""
    return "video" if isinstance(source, bytes) else show(source)


@contextlib.contextmanager
def open_film(source: Path | bytes) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Container and video stream; a cover picture is no video stream."""
    name = film_name(source)
    with contextlib.ExitStack() as stack:
        file = io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(open_regular(source))
        try:
            container = stack.enter_context(av.open(file, "r", **_OPEN))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise UserError(
                f"{name}: cannot be read as a video or an image ({reason(error)}); is the file complete?"
            ) from error
        cover = av.stream.Disposition.attached_pic
        stream = next((s for s in container.streams.video if not s.disposition & cover), None)
        if stream is None:
            raise UserError(f"{name}: no video stream in it (sound only?)")
        if stream.codec_context is None:
            raise UserError(f"{name}: FFmpeg does not know the codec of its video stream; re-encode it")
        if stream.width * stream.height > MOST_PIXELS:
            raise UserError(
                f"{name}: {stream.width}x{stream.height} pixels, expected at most {MOST_PIXELS / 1e6:g} million"
            )
        yield container, stream


def _decoder(stream: av.VideoStream, name: str, threads: int) -> VideoCodecContext:
    """The stream's decoder, or libvpx for WebM with transparency, which FFmpeg's own decoders leave out."""
    decoder = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and decoder.codec.name in _ALPHA_DECODERS:
        try:
            decoder = av.Codec(_ALPHA_DECODERS[decoder.codec.name], "r").create("video")
        except av.codec.codec.UnknownCodecError as error:
            raise UserError(
                f"{name}: has transparency, which this PyAV cannot decode (no {_ALPHA_DECODERS[decoder.codec.name]}); "
                "save it as an .mkv of FFV1 or as PNG images"
            ) from error
        decoder.extradata = stream.codec_context.extradata
    decoder.thread_type = "AUTO"
    decoder.thread_count = threads
    return decoder


def _indexed_frames(container: av.container.InputContainer, stream: av.VideoStream) -> int | None:
    """Frames of a film by its index; None if that is not complete, and packets must be counted."""
    entries = stream.index_entries
    if "mov" in container.format.name:  # header and index differ where an edit list or fragments are
        return sum(not entry.is_discard for entry in entries) if stream.frames == len(entries) else None
    if container.format.name == "avi":  # its header counts null frames, and its index may be missing
        return None
    return stream.frames or None


def expected_packets(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Packets that the file promises. The header of an mp4 counts what an edit list cuts, too: its index is exact."""
    return ("mov" in container.format.name and len(stream.index_entries)) or stream.frames


def _reached(container: av.container.InputContainer, packet: av.Packet[Any], reached: int) -> int:
    """The number of packets up to this one; in AVI a null frame, which has none, takes a number, too."""
    if not packet.size:
        return reached
    avi = container.format.name == "avi" and packet.dts is not None
    return max(reached + 1, (packet.dts or 0) + 1) if avi else reached + 1


def missing_part(stream: av.VideoStream, reached: int, expected: int, end: float) -> str:
    """What a file promises beyond the ``reached`` packets, of which the last is shown at second ``end``."""
    if reached < expected:
        return f"{reached} of {expected} frames"
    promised = stated_seconds(stream)
    return f"{end:.1f} of {promised:.1f} s" if promised is not None and end + _LATE_SECONDS < promised else ""


def _rate(container: av.container.InputContainer, stream: av.VideoStream, counted: int, reached: int) -> Fraction:
    """Average rate: null frames of AVI lower it."""
    rate = exact(stream.average_rate or stream.guessed_rate or 0)
    return rate * counted / reached if container.format.name == "avi" and 0 < counted < reached else rate


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to exchange rows with columns, then to mirror left-right, then top-bottom, by the display matrix.

    Row 0 of the matrix is where a step to the right on the stored picture goes on the screen, row 1 a step down.
    """
    try:
        side_data: Any = frame.side_data
        data = bytes(side_data[Type.DISPLAYMATRIX])
    except KeyError:
        return False, False, False
    except ValueError:  # other side data is of a kind that PyAV does not know: the angle is all that it tells
        return _QUARTER_TURNS[round(frame.rotation / 90) % 4]
    across_x, across_y, _, down_x, down_y, *_ = np.frombuffer(data, np.int32)
    if abs(int(across_x)) >= abs(int(across_y)):
        return False, bool(across_x < 0), bool(down_y < 0)
    return True, bool(down_x < 0), bool(across_y < 0)


def _upright_size(decoded: DecodedFrame) -> tuple[int, int]:
    frame, (exchanged, *_) = decoded.frame, decoded.orientation
    return (frame.width, frame.height) if exchanged else (frame.height, frame.width)


def _decoded(
    number: int,
    frame: av.VideoFrame,
    orientation: tuple[bool, bool, bool],
    decoder: VideoCodecContext,
    stream: av.VideoStream,
) -> DecodedFrame:
    lossless = decoder.codec.lossless and not decoder.codec.lossy
    pixel_shape = exact_or_none(stream.sample_aspect_ratio)
    return DecodedFrame(number, frame, orientation, lossless, pixel_shape)
