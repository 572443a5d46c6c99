"""Streams, times and tags of two files, found and compared with PyAV and Pillow alone, for `tests.odd_sources`."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition
from PIL import Image

from vp_jax.media.av_versions import ANY_TITLE

S = Fraction
ZERO = S(0)


@dataclasses.dataclass
class Seen:
    """What PyAV finds in a file; seconds."""

    times: list[Fraction] = dataclasses.field(default_factory=list)
    end: Fraction = ZERO
    tick: Fraction = ZERO
    streams: list[Stream] = dataclasses.field(default_factory=list)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    chapters: list[tuple[Fraction, Fraction, str]] = dataclasses.field(default_factory=list)
    attached: list[bytes] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Stream:
    """A sound, subtitle or data stream: what it is called, and time and bytes of its packets."""

    type: str
    codec: str
    language: str
    title: str
    disposition: int
    tick: Fraction
    start: Fraction
    packets: list[tuple[Fraction, Fraction, bytes]]


def seen(path: Path) -> Seen:
    """What a file holds, by PyAV; of a PNG or WebP film and of a folder, by Pillow."""
    if path.is_dir():
        return Seen([S(0)] * len(list(path.iterdir())))
    if path.suffix in (".png", ".webp"):
        return _seen_film(path)
    found = Seen()
    with av.open(str(path), **ANY_TITLE) as container:
        video = next(s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        found.tick = video.time_base or S(0)
        found.tags = {key.lower(): value for key, value in container.metadata.items()}
        for chapter in container.chapters():
            base = chapter["time_base"] or S(1)
            found.chapters.append(
                (chapter["start"] * base, chapter["end"] * base, chapter["metadata"].get("title", ""))
            )
        streams: dict[int, Stream] = {}
        for stream in container.streams:
            if stream.type == "attachment":
                found.attached.append(bytes(stream.data))
            elif stream is not video and not stream.disposition & Disposition.attached_pic:
                streams[stream.index] = _described(stream)
        last = S(0)
        for packet in container.demux():
            stream = packet.stream
            if stream is video:
                for frame in packet.decode():
                    found.times.append(frame.pts * found.tick)
                    last = (frame.duration or 0) * found.tick
            elif packet.size and stream.index in streams and packet.pts is not None and bytes(packet) != b"\0\0":
                base = packet.time_base
                packets = streams[stream.index].packets
                packets.append((packet.pts * base, (packet.duration or 0) * base, bytes(packet)))
            elif packet.size and stream.type == "video":
                found.attached.append(bytes(packet))
        found.end = found.times[-1] + (last or found.times[-1] - found.times[-2])
        found.streams = [s for s in streams.values() if s.packets or s.type != "data"]
    return found


def _seen_film(path: Path) -> Seen:
    found, at = Seen(tick=S(1, 1000)), S(0)
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            found.times.append(at)
            at += S(image.info["duration"]).limit_denominator(1000) / 1000
    found.end = at
    return found


def _described(stream: Any) -> Stream:
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    codec = stream.codec_context.name if stream.codec_context is not None else stream.type
    language = tags.get("language", "und").replace("und", "")
    title = tags.get("title") or tags.get("name", "")
    kept = int(stream.disposition) & ~int(Disposition.default)
    start = (stream.start_time or 0) * stream.time_base
    return Stream(stream.type, codec, language, title, kept, stream.time_base, start, [])


def compare(source: Seen, result: Seen, out: str, read: dict[str, Any], lines: list[str]) -> list[str]:
    """Differences between a source and its result that no line allows.

    Args:
      out: suffix of the result.
      read: arguments of `Video.read`.
    """
    start, stop = read.get("start", 0), read.get("stop")
    step = 1
    if "fps" in read:
        mean = (source.end - source.times[0]) / len(source.times)
        step = max(1, int(1 / mean // S(read["fps"])))
    chosen = source.times[start:stop:step]
    if len(result.times) != len(chosen):
        return [f"{len(result.times)} frames, expected {len(chosen)}"]
    if not out:
        return []
    starts = [s.start for s in source.streams if s.type == "audio"]
    zero = chosen[0] if start else min([chosen[0], *starts])
    slack = max(source.tick if source.tick <= S(1, 1000) else S(0), result.tick, S(1, 1000))
    faults = []
    worst = max(abs(t - zero - r) for t, r in zip(chosen, result.times))
    if worst > slack:
        faults.append(f"times off by {float(worst) * 1000:.1f} ms")
    end = source.end if stop is None else source.times[stop] if stop < len(source.times) else source.end
    if step == 1 and abs(end - zero - result.end) > slack + S(1, 1000) and not out == ".mkv":
        faults.append(f"ends at {float(result.end):.3f}, expected {float(end - zero):.3f}")
    if out == ".gif":
        return faults
    limit = None if stop is None else end - zero
    gone = [line for line in lines if ": lost" in line]
    kept = [s for s in source.streams if s.type in ("audio", "subtitle")]
    made = [s for s in result.streams if s.type in ("audio", "subtitle")]
    if len(made) != len(kept) - sum(line.startswith(("sound", "subtitles")) for line in gone):
        faults.append(f"{len(made)} tracks of {len(kept)}")
    for before, after in zip(kept, made):
        faults += _compare(before, after, zero, limit, lines)
    chapters = [
        (b - zero, e - zero, t) for b, e, t in source.chapters if e > zero and (limit is None or b - zero < limit)
    ]
    if [t for *_, t in chapters] != [t for *_, t in result.chapters]:
        faults.append(f"chapters {result.chapters}, expected {chapters}")
    elif any(abs(max(a, S(0)) - b) > S(1, 500) for (a, *_), (b, *_) in zip(chapters, result.chapters)):
        faults.append("chapters start elsewhere")
    missing = [a for a in source.attached if a not in result.attached]
    if len(missing) != sum(line.startswith(("attachment", "cover")) for line in gone):
        faults.append(f"{len(missing)} attachments missing")
    faults += [f"tag {k} lost" for k in ("title", "comment") if source.tags.get(k) != result.tags.get(k)]
    return faults


def _compare(before: Stream, after: Stream, zero: Fraction, limit: Fraction | None, lines: list[str]) -> list[str]:
    name = f"{before.type} {before.codec}"
    faults = []
    said = [(stream.language, stream.title, stream.disposition) for stream in (before, after)]
    if said[0] != said[1]:
        faults.append(f"{name}: was {said[0]}, is {said[1]}")
    slack = max(before.tick, after.tick, S(1, 1000)) + S(1, 2000)
    wanted = [(t - zero, d, b) for t, d, b in before.packets if t - zero + d > 0]
    wanted = [p for p in wanted if limit is None or p[0] < limit]
    if before.codec != after.codec and not {before.codec, after.codec} <= {"srt", "subrip", "ass", "ssa"}:
        if not any("written as" in line for line in lines):
            faults.append(f"{name}: is {after.codec}")
        spans = [(s[0][0], s[-1][0] + s[-1][1]) for s in (wanted, after.packets)]
        if before.type == "audio" and max(abs(a - b) for a, b in zip(*spans)) > S(1, 20):
            faults.append(f"{name}: {spans[1]}, expected {spans[0]}")
        if before.type == "subtitle":
            if [round(p[0] * 100) for p in wanted] != [round(p[0] * 100) for p in after.packets]:
                faults.append(f"{name}: texts at other times")
        return faults
    heard = [p for p in after.packets if p[0] + p[1] > 0]
    dropped = len(wanted) - len(heard)
    if dropped and not (dropped == 1 and any("left out" in line for line in lines)):
        faults.append(f"{name}: {len(heard)} packets, expected {len(wanted)}")
    off = [abs(a[0] - b[0]) for a, b in zip(wanted[max(dropped, 0) :], heard)]
    if off and max(off) > slack:
        faults.append(f"{name}: {float(max(off)) * 1000:.1f} ms off")
    same = all(b[2] in a[2] or a[2] in b[2] for a, b in zip(wanted[max(dropped, 0) :], heard))
    if not same and before.type == "audio":
        faults.append(f"{name}: other bytes")
    return faults
