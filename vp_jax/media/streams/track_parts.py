"""Which packets of a stream belong to a part of a film, when they are in the result, and what became of them."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any, Literal

import av
from av.stream import Stream

from vp_jax.media.streams.carried import Carried, TrackSource
from vp_jax.media.streams.track_names import counted
from vp_jax.media.streams.track_routes import Route


@dataclasses.dataclass
class Track:
    """A stream on its way into a result.

    Attributes:
      stream: of the source.
      label: its kind, number, codec and language.
      route: how it enters the container.
      written, left_out: packets that were written, and that lie before the start.
      last: time of decoding of the last one.
      ended: where and why it ended early, "" if it did not.
    """

    stream: Stream
    label: str
    route: Route
    written: int = 0
    left_out: int = 0
    last: int | None = None
    ended: str = ""

    def keeps(self, packet: av.Packet[Any], source: TrackSource) -> bool:
        """Shift a packet's times; whether it belongs to the part that is kept."""
        base = packet.time_base
        pts = packet.pts or 0
        if packet.is_corrupt or not base:
            self.ended = f"at {float(pts * base - source.zero):.1f} s, the source is damaged"
            return False
        shift = round(source.zero / base)
        packet.pts, packet.dts = pts - shift, (pts if packet.dts is None else packet.dts) - shift
        pts = pts - shift
        stop = pts + (packet.duration or 0)
        if source.end is not None and pts * base >= source.end:
            return False
        if self.stream.type == "subtitle" and pts < 0 < stop:  # a text that was there before goes on
            packet.pts = packet.dts = pts = 0
            packet.duration = stop
        earliest = self.route.negative
        primes = earliest is None and source.first_frame
        if (stop <= 0 and pts < 0 and not primes) or (earliest is not None and pts * base < earliest):
            self.left_out += 1
            return False
        return True

    def carried(self) -> Carried:
        """What became of the stream."""
        kind = self.label.split(" ", 1)[0]
        how: Literal["copied", "written", "lost"] = "copied" if self.route.how == "copied" else "written"
        more = f"; {self.left_out} before the start left out" if self.left_out else ""
        if self.ended:
            how, more = "lost", f"; ended {self.ended}"
        if self.written:
            return Carried(kind, how, f"{self.label}: {self.route.how}, {counted(self.written, 'packet')}{more}")
        return Carried(kind, how, f"{self.label}: empty, no packets in this part{more}")


def second_of(packet: av.Packet[Any]) -> Fraction:
    """Time of decoding of a packet."""
    at = packet.pts if packet.dts is None else packet.dts
    return (at or 0) * (packet.time_base or Fraction(0))
