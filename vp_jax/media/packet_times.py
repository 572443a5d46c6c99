"""Times of a film's packets, taken down while it is decoded, so that its clock needs no second reading of the file."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import av

from vp_jax.media.av_versions import exact_or_none


class PacketTimes:
    """What a clock is made of.

    Attributes:
      base: seconds of a tick, None where the film states none.
      codec: name of the decoder.
      rate: average frames per second, None where the film states none.
      zero: second at which the earliest sound starts, None without sound.
      stated: seconds that the stream lasts by its tags, None where they do not say.
      times: presentation and decoding time and duration of each packet that shows something, in ticks.
      complete: all packets were taken down.
    """

    def __init__(self) -> None:
        self.base: Fraction | None = None
        self.codec = ""
        self.rate: Fraction | None = None
        self.zero: Fraction | None = None
        self.stated: float | None = None
        self.times: list[tuple[int | None, int | None, int]] = []
        self.complete = False

    def begin(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        """Before the first packet."""
        self.codec = stream.codec_context.name
        self.base, self.rate = exact_or_none(stream.time_base), exact_or_none(stream.average_rate)
        self.zero = _start(container)

    def add(self, packet: av.Packet[Any]) -> None:
        """The next packet."""
        if packet.size and not packet.is_discard:
            self.times.append((packet.pts, packet.dts, packet.duration or 0))

    def end(self, stream: av.VideoStream, *, complete: bool) -> None:
        """After the last packet."""
        self.stated, self.complete = stated_seconds(stream), complete


def stated_seconds(stream: av.VideoStream) -> float | None:
    """Length of the stream by the tag that Matroska and WebM files carry, ``hh:mm:ss.fraction``."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return float(match[1]) * 3600 + float(match[2]) * 60 + float(match[3]) if match else None


def _start(container: av.container.InputContainer) -> Fraction | None:
    """Second at which the earliest sound of a film starts, None without sound."""
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams.audio
        if stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts, default=None)
