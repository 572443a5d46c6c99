"""Everything of a source but its pictures, carried into a result: sound, subtitles, chapters, attachments, data, tags.

All streams get ONE time shift, that of the result's clock, so they stay as they were beside the pictures. Packets are
copied; where the result's format cannot hold a stream, sound and text are written in a codec that it holds, and
what is left is named. "Copied" is said of packets that were written::

    with Tracks(source, ".mp4") as tracks:
        tracks.join(container, video)       # before the first frame
        tracks.write(until=seconds)         # while the video is written
        tracks.finish()                     # after the last frame
    lines = tracks.report(path)             # when the file is closed
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Discard, Stream

from vp_jax.errors import UserError
from vp_jax.media.film import open_film
from vp_jax.media.inputs import is_folder, reason
from vp_jax.media.streams.carried import Carried, TrackSource, stamp_of
from vp_jax.media.streams.tags import Described, chapters_between, differences, stream_tags, tags_of
from vp_jax.media.streams.track_names import about, attachment_of
from vp_jax.media.streams.track_parts import Track, second_of
from vp_jax.media.streams.track_routes import format_takes, is_cover, route_of
from vp_jax.reading import show

_KINDS = {"audio": "sound", "subtitle": "subtitles", "video": "video"}


class Tracks:
    """The streams of a source on their way into a result; a source of None carries nothing.

    Args:
      source: what to carry.
      suffix: of the result, "" for a folder of images.
    """

    def __init__(self, source: TrackSource | None, suffix: str) -> None:
        self._source, self._suffix = source, suffix
        self._stack = contextlib.ExitStack()
        self._input: InputContainer | None = None
        self._video: Stream | None = None
        self._tracks: dict[int, Track] = {}
        self._packets: Iterator[av.Packet[Any]] = iter(())
        self._next: av.Packet[Any] | None = None
        self._lines: list[Carried] = []
        self._described: list[Described] = []
        self._tags: dict[str, str] = {}
        self._chapters = 0

    def __enter__(self) -> Tracks:
        source = self._source
        if source is None:
            return self
        try:
            if is_folder(source.path):
                return self
            if source.stamp is not None and stamp_of(source.path) not in (None, source.stamp):
                raise UserError(f"{show(source.path)}: changed since its frames were read")
            self._input, self._video = self._stack.enter_context(open_film(source.path))
        except UserError as error:  # an image film has no streams; a file that is gone takes only its streams along
            if source.path.suffix.lower() not in (".png", ".apng", ".webp", ".tif", ".tiff", ".avif"):
                self._lose("sound", f"sound and other tracks are missing, {error}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def join(self, output: OutputContainer | None, video: Stream | None) -> None:
        """Add the streams to a container, before its first packet; None for a folder of images."""
        if self._input is None or self._source is None:
            return
        numbers: dict[str, int] = {}
        for stream in self._input.streams:
            if stream is self._video or stream.discard == Discard.all:  # chapters of mp4 are a track too
                continue
            kind = "cover" if is_cover(stream) else _KINDS.get(stream.type, stream.type)
            numbers[kind] = numbers.get(kind, 0) + 1
            label = f"{kind} {numbers[kind]} ({about(stream)})"
            try:
                self._add(stream, label, output)
            except (av.error.FFmpegError, ValueError, RuntimeError, OverflowError) as error:  # of damaged headers
                self._lose(kind, f"{label}: lost, {reason(error)}")
        if output is not None and video is not None and self._suffix != ".gif":
            self._describe(output, video)
        elif found := self._input.chapters():
            self._lose("chapters", f"chapters: lost, {self._format} holds none of the {len(found)}")
        wanted = tuple(track.stream for track in self._tracks.values())
        self._packets = self._read(self._input, wanted) if wanted else iter(())
        self._next = next(self._packets, None)

    def write(self, output: OutputContainer, until: Fraction | None) -> None:
        """Write the packets before second ``until`` of the result; None: all."""
        while self._next is not None and (until is None or second_of(self._next) < until):
            self._take(output, self._next)
            self._next = next(self._packets, None)

    def finish(self, output: OutputContainer) -> None:
        """Write what is left, before the container is closed."""
        self.write(output, None)
        for track in self._tracks.values():
            if not track.ended:
                self._mux(output, track, track.route.rest)

    def report(self, path: Path) -> tuple[Carried, ...]:
        """What became of everything; compared with the finished file."""
        for track in self._tracks.values():
            self._lines.append(track.carried())
        if self._described or self._tags or self._chapters:
            for line in differences(path, self._tags, self._described, self._chapters):
                self._lose(line.split(" ", 1)[0].rstrip(":"), line)
        return tuple(self._lines)

    @property
    def _format(self) -> str:
        return self._suffix or "a folder of images"

    def _lose(self, kind: str, line: str) -> None:
        self._lines.append(Carried(kind, "lost", line))

    def _add(self, stream: Stream, label: str, output: OutputContainer | None) -> None:
        """Add one stream to the container, or name it."""
        kind, suffix = label.split(" ", 1)[0], self._suffix
        source = self._source
        assert source is not None
        if stream.type == "data" and "timecode" in stream.metadata and suffix in (".mp4", ".mov"):
            if source.first_frame:  # written by the container from the tag of the video stream
                self._lines.append(Carried("data", "written", f"{label}: written as a time code track"))
            else:
                self._lose("data", f"{label}: lost, it is the time code of the first frame")
            return
        if output is None or suffix == ".gif":
            return self._lose(kind, f"{label}: lost, {self._format} holds pictures only")
        if isinstance(stream, AttachmentStream) or (is_cover(stream) and suffix in (".mkv", ".webm")):
            return self._attach(stream, label, output)
        route = route_of(stream, output, suffix, first_frame=source.first_frame)
        if route is None:
            return self._lose(kind, f"{label}: lost, {suffix} does not hold it" + (", .mkv would" * _any(stream)))
        tags = stream_tags(stream, suffix, first_frame=source.first_frame)
        route.out.metadata.clear()
        route.out.metadata.update(tags)
        route.out.disposition = stream.disposition
        self._tracks[stream.index] = Track(stream, label, route)
        if not is_cover(stream):
            self._described.append(Described(label, stream.type, tags, int(stream.disposition)))

    def _attach(self, stream: Stream, label: str, output: OutputContainer) -> None:
        """Add an attachment, or a cover picture, which is one in Matroska."""
        assert self._source is not None
        kind = label.split(" ", 1)[0]
        if self._suffix != ".mkv":
            return self._lose(kind, f"{label}: lost, {self._suffix} holds no attachments, .mkv does")
        name, mime, data = attachment_of(stream, self._source.path)
        if not data or not format_takes(lambda trial: trial.add_attachment(name, mime, data), self._suffix):
            return self._lose(kind, f"{label}: lost, it could not be attached")
        output.add_attachment(name, mime, data)
        self._lines.append(Carried(kind, "copied", f"{label}: copied, {len(data)} bytes"))

    def _describe(self, output: OutputContainer, video: Stream) -> None:
        """Tags of the film and its video stream, and the chapters."""
        source, container = self._source, self._input
        assert source is not None and container is not None and self._video is not None
        self._tags = tags_of(container.metadata, first_frame=source.first_frame)
        output.metadata.update(self._tags)
        tags = stream_tags(self._video, self._suffix, first_frame=source.first_frame)
        video.metadata.update(tags)
        video.disposition = self._video.disposition
        self._described.insert(0, Described("video", "video", tags, int(self._video.disposition)))
        chapters = chapters_between(container.chapters(), source.zero, source.end)
        try:
            output.set_chapters(chapters)
        except (ValueError, OverflowError) as error:  # times that no file holds
            self._lose("chapters", f"chapters: lost, {reason(error)}")
            chapters = []
        if chapters:
            self._lines.append(Carried("chapters", "copied", f"chapters: copied, {len(chapters)}"))
        self._chapters = len(chapters)

    def _read(self, container: InputContainer, streams: tuple[Stream, ...]) -> Iterator[av.Packet[Any]]:
        """Packets of the part that is kept, their times those of the result."""
        source = self._source
        assert source is not None
        try:
            for packet in container.demux(streams):
                track = self._tracks[packet.stream.index]
                if is_cover(track.stream) and packet.size:
                    packet.pts = packet.dts = 0
                    yield packet
                elif packet.size and packet.pts is not None and not track.ended and track.keeps(packet, source):
                    yield packet
        except (av.error.FFmpegError, OSError) as error:
            for track in self._tracks.values():
                track.ended = track.ended or f"early, the source is damaged ({reason(error)})"

    def _take(self, output: OutputContainer, packet: av.Packet[Any]) -> None:
        track = self._tracks[packet.stream.index]
        if not track.ended:
            self._mux(output, track, lambda: track.route.packets(packet))

    def _mux(self, output: OutputContainer, track: Track, packets: Any) -> None:
        """Write packets of one stream; a fault of theirs ends that stream, a full disk everything."""
        at = ""
        try:
            for packet in packets():
                at = f"at {float(second_of(packet)):.1f} s, "
                if track.last is not None and packet.dts is not None and packet.dts < track.last:
                    raise ValueError("its times run backwards")
                track.last = packet.dts
                output.mux(packet)
                track.written += 1
        except (av.error.InvalidDataError, av.error.ArgumentError, ValueError) as error:
            track.ended = f"{at}{reason(error)}"


def _any(stream: Stream) -> bool:
    return stream.type in ("audio", "subtitle") and stream.codec_context is not None
