"""When the frames of a result are shown: the times of a `FrameClock` in the units of the file that is written.

Evenly spaced frames from second 0 on are written at their rate, exactly. All others get the times of the clock, within
one tick of the container: mp4 and mov keep the source's own time base, Matroska and WebM count milliseconds, GIF
hundredths of a second.
"""

from __future__ import annotations

import math
from fractions import Fraction

import av

from vp_jax.media.clock import FrameClock

_GIF = Fraction(1, 100)
_COARSEST, _FINEST = 10_000, 1_000_000


class Pace:
    """Sets the time of each frame and packet of a result's video stream.

    Args:
      rate: frames per second, the average where ``clock`` is uneven.
      clock: of the frames, in seconds of the result; None: evenly spaced from 0 on.
      suffix: of the file, "" for a folder.
    """

    def __init__(self, rate: Fraction, clock: FrameClock | None, suffix: str) -> None:
        self.rate, self.clock, self.suffix = rate, clock, suffix
        self.even = clock is None or clock.is_even(rate)
        offset = clock.seconds(0) if clock else Fraction(0)
        exact = suffix != ".gif" or (1 / rate / _GIF).denominator == 1
        self._plain = self.even and exact and abs(offset) <= Fraction(1, 2000)
        self.time_base = 1 / rate
        if not self._plain:
            self.time_base = _GIF if suffix == ".gif" or clock is None else self._fine(clock)
        self._ticks: list[int] = []
        self._durations: dict[int, int] = {}

    def note(self) -> str:
        """What the format cannot say of the times, "" if nothing."""
        if not self.suffix:
            return "" if self.even else "a folder of images holds no times: the frames were not evenly spaced"
        if self.suffix == ".gif":
            times = [self.seconds(number) for number in range(len(self.clock) if self.clock else 101)]
            if any((at / _GIF).denominator != 1 for at in times):
                return "rounded to 1/100 s, the steps of .gif"
        return ""

    def seconds(self, frame: int) -> Fraction:
        """Second of the result at which a frame is shown."""
        if self.clock is None or self._plain:
            return frame / self.rate
        if self.even and self.suffix != ".gif":
            return self.clock.seconds(0) + frame / self.rate
        return self.clock.seconds(frame)

    def set_up(self, video: av.VideoStream) -> None:
        """Choose the encoder's time base, before it is opened."""
        if not self._plain:
            if video.codec_context.name == "mpeg4":  # whose time base has 16 bits
                self.time_base = max(self.time_base, Fraction(1, 60_000))
            video.codec_context.time_base = self.time_base
            video.time_base = self.time_base
            if not self.even and self.suffix in (".mp4", ".mov"):
                # mp4 stores durations in the order of decoding: uneven ones would stand at the wrong frames
                video.codec_context.max_b_frames = 0

    def stamp(self, frame: av.VideoFrame, number: int) -> av.VideoFrame:
        """The frame with its time."""
        if not self._plain:
            frame.pts, frame.time_base = self._tick(number), self.time_base
            self._durations[frame.pts] = max(1, self._tick(number + 1) - frame.pts)
        return frame

    def timed(self, packets: list[av.Packet[av.VideoStream]]) -> list[av.Packet[av.VideoStream]]:
        """The packets of encoded frames, each with how long its frame is shown."""
        for packet in packets if not self._plain else ():
            if packet.pts is not None and packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
        return packets

    def _tick(self, number: int) -> int:
        while len(self._ticks) <= number:
            tick = round(self.seconds(len(self._ticks)) / self.time_base)
            self._ticks.append(max(tick, self._ticks[-1] + 1) if self._ticks else tick)
        return self._ticks[number]

    def _fine(self, clock: FrameClock) -> Fraction:
        """A time base that holds every time of the clock: its own, or that of the rate, made fine enough."""
        ticks = self.rate.numerator if self.even else math.lcm(clock.time_base.denominator, clock.zero.denominator)
        if ticks > _FINEST:
            ticks = clock.time_base.denominator
        return Fraction(1, ticks * math.ceil(_COARSEST / ticks))
