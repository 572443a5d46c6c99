"""How one stream of a source enters a result: its packets as they are, or decoded and encoded anew.

What a container holds is tried out, with a file in memory: lists of codecs name more than muxers write.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, cast

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

FORMATS = {".mp4": "mp4", ".mov": "mov", ".webm": "webm", ".mkv": "matroska", ".gif": "gif"}
_SOUND = {".mp4": ("aac", 96_000), ".mov": ("aac", 96_000), ".webm": ("libopus", 64_000)}
"""Codec of sound that a format does not take as it is, and bits per second for each channel."""
_TEXT = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt", ".mkv": "subrip"}
_WRITTEN = {"aac": "AAC", "libopus": "Opus", "mov_text": "mov_text", "webvtt": "WebVTT", "subrip": "SubRip"}
_DRAWN = frozenset("dvd_subtitle dvdsub dvb_subtitle dvbsub hdmv_pgs_subtitle pgssub xsub".split())
"""Subtitles that are pictures."""
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)

if TYPE_CHECKING:
    Packets = list[av.Packet[Any]]


class Route(Protocol):
    """The way of one stream.

    Attributes:
      out: the stream of the result.
      how: "copied", or what it is written as.
      negative: earliest second that the container takes of it without shifting all streams; None: any.
    """

    out: Stream
    how: str
    negative: Fraction | None

    def packets(self, packet: av.Packet[Any]) -> Packets:
        """The packets to write for one of the source, whose times are those of the result."""

    def rest(self) -> Packets:
        """The packets to write at the end."""


def route_of(stream: Stream, output: OutputContainer, suffix: str, *, first_frame: bool) -> Route | None:
    """The best way of a stream into a container; None if there is none."""
    ways: list[Callable[[OutputContainer], Route]] = [lambda out: Copied(stream, out, suffix, first_frame)]
    if stream.type == "audio" and suffix in _SOUND and stream.codec_context is not None:
        given = str(cast(Any, stream).codec_context.layout.name)
        layouts = dict.fromkeys((given, given.partition("(")[0], "stereo"))  # 5.1(side): few encoders know the sides
        ways += [lambda out, layout=layout: Sound(stream, out, suffix, layout) for layout in layouts]  # type: ignore[misc]
    if stream.type == "subtitle" and suffix in _TEXT and stream.codec_context is not None:
        if stream.codec_context.name not in _DRAWN:
            ways.append(lambda out: Text(stream, out, suffix))
    for way in ways:
        if format_takes(way, suffix):
            return way(output)
    return None


def format_takes(way: Callable[[OutputContainer], Any], suffix: str) -> bool:
    """Whether a format takes what ``way`` adds to a container."""
    try:
        trial = av.open(io.BytesIO(), "w", format=FORMATS[suffix])
        way(trial)
        trial.start_encoding()
    except (av.error.FFmpegError, ValueError, RuntimeError):
        return False
    with contextlib.suppress(av.error.FFmpegError, ValueError):  # a file without packets need not be whole
        trial.close()
    return True


class Copied:
    """Packets as they are."""

    how = "copied"

    def __init__(self, stream: Stream, output: OutputContainer, suffix: str, first_frame: bool) -> None:
        self.out: Stream = output.add_stream_from_template(cast(Any, stream), opaque=True)
        delayed = first_frame and "matroska" in stream.container.format.name  # the delay of its codec comes along
        self.negative = None if suffix in (".mp4", ".mov") or delayed else -_preskip(stream)
        self._gaps = stream.codec_context is not None and stream.codec_context.name == "mov_text"

    def packets(self, packet: av.Packet[Any]) -> Packets:
        """The packet itself; the empty texts between those of mp4 are written by the container."""
        if self._gaps and packet.size <= 2:
            return []
        packet.stream = self.out
        return [packet]

    def rest(self) -> Packets:
        """Nothing: no packet was kept back."""
        return []


class Sound:
    """Sound, encoded anew."""

    def __init__(self, stream: Stream, output: OutputContainer, suffix: str, layout: str) -> None:
        source = cast(Any, stream).codec_context
        codec, bits = _SOUND[suffix]
        rate = source.sample_rate if codec == "aac" and source.sample_rate in _AAC_RATES else 48000
        self._out = output.add_stream(cast(Any, codec), rate=rate, layout=layout)
        self._out.bit_rate = bits * self._out.codec_context.channels
        self.out: Stream = self._out
        fewer = self._out.codec_context.channels < source.channels
        self.how = f"written as {_WRITTEN[codec]}" + fewer * f", mixed down to {layout}"
        self.negative: Fraction | None = None
        self._decoder = source

    def packets(self, packet: av.Packet[Any]) -> Packets:
        """What the encoder makes of the packet's samples, which may be nothing yet."""
        return [made for frame in packet.decode() for made in self._encoded(frame)]

    def rest(self) -> Packets:
        """What decoder and encoder kept back."""
        frames = self._decoder.decode(None) if self._decoder.is_open else []
        return [*(made for frame in frames for made in self._encoded(frame)), *self._out.encode(None)]

    def _encoded(self, frame: Any) -> Iterator[av.Packet[Any]]:
        if frame.pts is None or frame.pts >= 0:  # what lies before second 0 is not heard
            yield from self._out.encode(frame)


class Text:
    """Subtitles of text, encoded anew; styles that the format does not know are left out by the encoder."""

    def __init__(self, stream: Stream, output: OutputContainer, suffix: str) -> None:
        self._decoder = cast(Any, stream).codec_context
        self._decoder.open(strict=False)
        self._out = output.add_stream(cast(Any, _TEXT[suffix]))
        self._out.codec_context.subtitle_header = self._decoder.subtitle_header
        self._out.time_base = Fraction(1, 1000)
        self.out: Stream = self._out
        self.how = f"written as {_WRITTEN[_TEXT[suffix]]}"
        self.negative: Fraction | None = None

    def packets(self, packet: av.Packet[Any]) -> Packets:
        """The texts of the packet, each as a packet of the same time."""
        shown = self._decoder.decode2(packet)
        texts = [rect.ass for rect in shown or () if isinstance(rect, AssSubtitle) and rect.ass]
        made: Packets = []
        for text in texts:
            lasts = round((packet.duration or 0) * packet.time_base * 1000)
            encoded = self._out.codec_context.encode_subtitle(SubtitleSet.create(text, 0, lasts, pts=0))
            encoded.stream, encoded.time_base = self._out, packet.time_base
            encoded.pts = encoded.dts = packet.pts
            encoded.duration = packet.duration or 0
            made.append(encoded)
        return made

    def rest(self) -> Packets:
        """Nothing: no packet was kept back."""
        return []


def is_cover(stream: Stream) -> bool:
    """Whether a video stream is a cover picture."""
    return bool(stream.disposition & Disposition.attached_pic)


def _preskip(stream: Stream) -> Fraction:
    """Seconds of an Opus stream before second 0, which Matroska states; other codecs have no such place."""
    head = bytes(stream.codec_context.extradata or b"") if stream.codec_context is not None else b""
    return Fraction(int.from_bytes(head[10:12], "little") + 48, 48000) if head.startswith(b"OpusHead") else Fraction(0)
