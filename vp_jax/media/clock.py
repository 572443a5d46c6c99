"""One clock for a video: when each frame is shown, as its source says.

Times are whole ticks of the source's own time base, so nothing is rounded before a file is written. They come from the
container alone (packets are read, not decoded), which costs one pass over the file. Covered that way: variable rates,
films that start late, edit lists, the delays of GIF, APNG and WebP, null frames of AVI, and MPEG-TS with its offset
and the wrap of its 33-bit counter (FFmpeg continues it).

Folders of images have no clock: their frames are evenly spaced at the rate that the caller states.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from fractions import Fraction
from pathlib import Path

import av

from vp_jax.media.film import open_film
from vp_jax.media.images import durations
from vp_jax.media.inputs import is_folder
from vp_jax.media.packet_times import PacketTimes

LATEST = 1.0
"""Seconds by which a stated end may lie behind the last frame and still be that frame's end."""

_HIDDEN = frozenset({"vp8"})
"""Codecs with packets that show no frame: only decoding tells the two apart."""


@dataclasses.dataclass(frozen=True)
class FrameClock:
    """When frames are shown.

    Attributes:
      ticks: presentation time of every frame, strictly ascending, in units of ``time_base``.
      end: tick at which the last frame stops being shown.
      time_base: seconds of a tick.
      zero: second of the source that is second 0 of a result: where its earliest stream starts, or the first chosen
        frame.
    """

    ticks: tuple[int, ...]
    end: int
    time_base: Fraction
    zero: Fraction = Fraction(0)

    def __len__(self) -> int:
        return len(self.ticks)

    def seconds(self, frame: int) -> Fraction:
        """Second of the result at which a frame is shown; that of the end for the number behind the last frame."""
        tick = self.end if frame == len(self.ticks) else self.ticks[frame]
        return tick * self.time_base - self.zero

    def chosen(self, start: int, stop: int | None, step: int) -> FrameClock:
        """The clock of the frames ``[start:stop:step]``, each shown until the next of them.

        From a later frame than the first, that frame is second 0 of the result.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        frames = range(start, stop, step)
        until = frames[-1] + step  # a thinned frame is shown as long as the frames that it stands for
        mean = (self.end - self.ticks[0]) / len(self)
        end = self.ticks[until] if until < len(self) else self.end + round((until - len(self)) * mean)
        ticks = tuple(self.ticks[frame] for frame in frames)
        return FrameClock(ticks, end, self.time_base, ticks[0] * self.time_base if start else self.zero)

    def first(self, frames: int) -> FrameClock:
        """The clock of the first ``frames`` frames, all but the last shown as long as before."""
        return self if frames >= len(self) else dataclasses.replace(self.chosen(0, frames, 1), zero=self.zero)

    def is_even(self, rate: Fraction) -> bool:
        """Whether frames are ``1 / rate`` apart, but for rounding to ticks of at most a millisecond."""
        slack = self.time_base if self.time_base <= Fraction(1, 1000) else 0
        first = self.ticks[0] * self.time_base
        return all(
            abs(tick * self.time_base - first - number / rate) <= slack
            for number, tick in enumerate((*self.ticks, self.end))
        )


def read_clock(source: Path | bytes, *, decoded: bool = False, times: PacketTimes | None = None) -> FrameClock | None:
    """The clock of a video file; None for a folder of images, for one picture, and for a film that states no times.

    Of a film that is damaged, the times up to the damage are read.

    Args:
      source: a path, or the bytes of a file.
      decoded: decode the film for its times: of some codecs packets show no frame, or more than one.
      times: of its packets, which are not read again if these are complete.

    Raises:
      UserError: the file cannot be opened.
    """
    if not isinstance(source, bytes) and is_folder(source):
        return None
    if (shown := durations(source)) is not None:
        return _of_durations(shown) if len(shown) > 1 else None
    if not decoded:
        known = times if times is not None and times.complete else _read_times(source)
        if (clock := _of_times(known, decoded=False)) is not None:
            return clock
    return _of_times(_read_times(source, decoded=True), decoded=True)


def _of_durations(shown: tuple[Fraction, ...]) -> FrameClock:
    """The clock of pictures with a delay each, in seconds."""
    base = Fraction(1, min(math.lcm(*(duration.denominator for duration in shown)), 90_000))
    at, ticks = Fraction(0), []
    for duration in shown:
        ticks.append(round(at / base))
        at += duration
    return FrameClock(*_ascending(ticks, round(at / base)), base)


def _read_times(source: Path | bytes, *, decoded: bool = False) -> PacketTimes:
    """The times of a film's packets or, ``decoded``, of its frames."""
    out = PacketTimes()
    with open_film(source) as (container, stream):
        out.begin(container, stream)
        with contextlib.suppress(av.error.FFmpegError, OSError):  # damage is a matter of reading the frames
            for packet in container.demux(stream):
                if decoded:
                    out.times += [(frame.pts, frame.dts, frame.duration or 0) for frame in packet.decode()]
                else:
                    out.add(packet)
        out.end(stream, complete=True)
    return out


def _of_times(film: PacketTimes, *, decoded: bool) -> FrameClock | None:
    """The clock by packets or, ``decoded``, by frames; None where packets do not tell."""
    base, times, stated = film.base, film.times, film.stated
    if not base or (not decoded and film.codec in _HIDDEN):
        return None
    by_dts = any(pts is None for pts, _, _ in times)  # AVI states the order of decoding only
    shown = sorted(((dts if by_dts else pts), lasts) for pts, dts, lasts in times if not (by_dts and dts is None))
    if not shown or len(shown) != len(times):
        return None
    ticks = [int(at or 0) for at, _ in shown]
    span = (ticks[-1] - ticks[0]) * base
    if not decoded and film.rate and len(ticks) > 1.5 * (1 + span * film.rate):
        return None  # a packet for each field
    lasts = shown[-1][1] or (ticks[-1] - ticks[-2] if len(ticks) > 1 else round(1 / (film.rate or 8) / base))
    end = ticks[-1] + max(1, lasts)
    if stated is not None and ticks[-1] < stated / base <= end + LATEST / float(base):
        end = round(stated / base)
    first = ticks[0] * base
    return FrameClock(*_ascending(ticks, end), base, first if film.zero is None else min(first, film.zero))


def _ascending(ticks: list[int], end: int) -> tuple[tuple[int, ...], int]:
    """The same ticks, each at least one behind the one before: no container holds two frames of one time."""
    out: list[int] = []
    for tick in ticks:
        out.append(max(tick, out[-1] + 1) if out else tick)
    return tuple(out), max(end, out[-1] + 1)
