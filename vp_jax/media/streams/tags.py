"""Titles, languages, dispositions, chapters: what containers say about a film and its streams, carried and compared.

A container keeps only the tags that it has a place for. So nothing is assumed: the finished file is opened again, and
`differences` names what did not arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import av
from av.stream import Disposition

from vp_jax.media.av_versions import ANY_TITLE

if TYPE_CHECKING:
    from av.container.core import Chapter

_INTERNAL = frozenset(
    "encoder software duration major_brand minor_version compatible_brands vendor_id number_of_frames number_of_bytes "
    "bps handler_name filename mimetype alpha_mode stereo_mode variant_bitrate".split()
)
"""Tags that describe the file they stand in, or that a stream's own data hold."""

_UNNAMED = frozenset({"", "und"})
_SAME = {"name": "title"}
"""Tag of mp4 and mov: what other containers call it."""


_MOV_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "fre": "fra", "hrv": "scr"}
"""The one code of ISO 639-2 that QuickTime's table knows, where a language has two."""


class Described(NamedTuple):
    """What a stream was given: its kind and name for messages, its type in PyAV, tags and dispositions."""

    label: str
    type: str
    tags: Mapping[str, str]
    disposition: int


def tags_of(metadata: Mapping[str, str], *, first_frame: bool = True) -> dict[str, str]:
    """The tags to carry over.

    Args:
      metadata: of a container or stream.
      first_frame: the result starts where the source does; a time code is that of the first frame.
    """
    tags: dict[str, str] = {}
    for key, value in metadata.items():
        name = key.lower()
        if name in _INTERNAL or name.startswith("_statistics") or (name == "timecode" and not first_frame):
            continue
        if name == "language" and value in _UNNAMED:
            continue
        if name == "creation_time":
            value = value.rpartition(";")[2]  # FFmpeg 9 joins the times of a header and of its tags
        tags.setdefault(_SAME.get(name, key) if "title" not in metadata else key, value)
    return tags


def stream_tags(stream: av.stream.Stream, suffix: str, *, first_frame: bool = True) -> dict[str, str]:
    """The tags of a stream to carry over into a format; the time at which it was made is the film's."""
    tags = tags_of(stream.metadata, first_frame=first_frame)
    if suffix == ".mov" and tags.get("language") in _MOV_LANGUAGES:
        tags["language"] = _MOV_LANGUAGES[tags["language"]]
    tags.pop("creation_time", None)
    return tags


def chapters_between(chapters: Iterable[Chapter], zero: Fraction, end: Fraction | None) -> list[Chapter]:
    """The chapters of a part of a film, from second ``zero`` of it to second ``end`` of the part, shifted and cut."""
    kept: list[Chapter] = []
    for chapter in chapters:
        base = chapter["time_base"] or Fraction(1, 1000)
        start, stop = chapter["start"] * base - zero, chapter["end"] * base - zero
        if stop <= 0 or (end is not None and start >= end):
            continue
        stop = stop if end is None else min(stop, end)
        ticks = Fraction(1, max(1000, min(base.denominator, 90_000)))
        cut: Any = dict(chapter, start=round(max(start, Fraction(0)) / ticks), end=round(stop / ticks), time_base=ticks)
        kept.append(cut)
    return kept


def differences(path: Path, tags: Mapping[str, str], streams: Iterable[Described], chapters: int) -> Iterator[str]:
    """One line for each tag, disposition and chapter that a finished file does not hold.

    Args:
      path: the finished file.
      tags: that the film was given.
      streams: that were added, in order.
      chapters: that the film was given.
    """
    suffix = path.suffix.lower()
    with av.open(str(path), **ANY_TITLE) as container:
        if lost := _lost(tags, container.metadata):
            yield f"tags lost, {suffix} has no place for them: {lost}"
        if len(container.chapters()) < chapters:
            yield f"chapters lost, {suffix} holds {len(container.chapters())} of {chapters}"
        found: dict[str, list[av.stream.Stream]] = {}
        for stream in container.streams:
            if not stream.disposition & Disposition.attached_pic:
                found.setdefault(stream.type, []).append(stream)
        for described in streams:
            same = found.get(described.type, [])
            if not same:
                yield f"{described.label} lost: {suffix} did not keep it"
                continue
            written = same.pop(0)
            if lost := _lost(described.tags, written.metadata):
                yield f"{described.label}: tags lost, {suffix} has no place for them: {lost}"
            missing = Disposition(described.disposition & ~int(written.disposition) & ~int(Disposition.default))
            if missing:
                names = ", ".join(str(flag.name) for flag in missing)
                yield f"{described.label}: disposition lost, {suffix} has no place for it: {names}"


def _lost(given: Mapping[str, str], written: Mapping[str, str]) -> str:
    kept = {_SAME.get(key.lower(), key.lower()): value for key, value in written.items()}
    return ", ".join(key for key, value in given.items() if kept.get(_SAME.get(key.lower(), key.lower())) != value)
