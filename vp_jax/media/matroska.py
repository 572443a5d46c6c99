"""What PyAV cannot write into .mkv and .webm: the shape of pixels, and the metadata of HDR (Matroska, RFC 9559).

The muxer takes both from stream fields that PyAV does not open. So the video track is written with a name that only
reserves room, and the finished file is changed in place: the name goes, and the room is given to the elements of the
track's video description. Nothing else in the file moves::

    TrackEntry                                 TrackEntry
      Name: reserved ............                Video: width, height, DisplayWidth, MasteringMetadata ...
      Video: width, height                       Void
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from vp_jax.media.pixels.hdr_metadata import ContentLight, MasteringDisplay

RESERVED = "reserved for the video description" + " " * 200
"""End of the name of a video track, which gives its room away."""

_MOST_HEADER = 1 << 20  # the description of tracks stands in front of the frames
_SEGMENT, _TRACKS, _TRACK, _NAME, _VIDEO, _COLOUR = 0x18538067, 0x1654AE6B, 0xAE, 0x536E, 0xE0, 0x55B0
_CRC, _VOID = 0xBF, 0xEC
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT, _ASPECT_RATIO = 0x54B0, 0x54BA, 0x54B2, 3
_WIDTH, _HEIGHT = 0xB0, 0xBA
_MASTERING, _MOST_LIGHT, _AVERAGE_LIGHT = 0x55D0, 0x55BC, 0x55BD
_CHROMATICITIES, _LUMINANCE_MOST, _LUMINANCE_LEAST = range(0x55D1, 0x55D9), 0x55D9, 0x55DA


class Element(NamedTuple):
    """An EBML element.

    Attributes:
      name: its ID.
      content: its bytes.
      at: where the content begins, in what was parsed.
    """

    name: int
    content: bytes
    at: int = 0


def describe_video(
    path: Path, shape: Fraction | None, mastering: MasteringDisplay | None, light: ContentLight | None
) -> bool:
    """Write pixel shape and HDR metadata into the video track of a finished file whose name ends with `RESERVED`.

    Returns:
      Whether there was such a track.
    """
    with open(path, "r+b") as file:
        head = file.read(_MOST_HEADER)
        segment = next((e for e in elements(head, partial=True) if e.name == _SEGMENT), None)
        parts = elements(head[segment.at :], partial=True) if segment else iter(())
        tracks = next((e for e in parts if e.name == _TRACKS), None)
        if segment is None or tracks is None:
            return False
        changed = _tracks(tracks.content, shape, mastering, light)
        if changed is None:
            return False
        file.seek(segment.at + tracks.at)
        file.write(changed)
    return True


def elements(data: bytes, *, partial: bool = False) -> Iterator[Element]:
    """The elements that follow each other in ``data``; ``partial``: the last may be cut off."""
    place = 0
    while place < len(data) - 1:
        id_length = 9 - data[place].bit_length()
        name = int.from_bytes(data[place : place + id_length], "big")
        place += id_length
        length = 9 - data[place].bit_length()
        size = int.from_bytes(data[place : place + length], "big") & ((1 << 7 * length) - 1)
        place += length
        if place + size > len(data) and not partial:
            raise ValueError("an element is cut off")
        yield Element(name, data[place : place + size], place)
        place += size


def element(name: int, content: bytes, size_length: int | None = None) -> bytes:
    """The bytes of an element."""
    length = size_length or next(n for n in range(1, 9) if len(content) < (1 << 7 * n) - 1)
    size = (1 << 7 * length | len(content)).to_bytes(length, "big")
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + size + content


def _tracks(
    content: bytes, shape: Fraction | None, mastering: MasteringDisplay | None, light: ContentLight | None
) -> bytes | None:
    """The same number of bytes with a fuller description; None without a track of the reserved name."""
    out, found = b"", False
    for part in elements(content):
        if part.name == _TRACK and RESERVED.encode() in part.content:
            found = True
            kept = [_named(e) for e in elements(part.content) if e.name != _NAME or e.content != RESERVED.encode()]
            kept = [e._replace(content=_video(e, shape, mastering, light)) if e.name == _VIDEO else e for e in kept]
            body = b"".join(element(e.name, e.content) for e in kept)
            room = len(part.content) - len(body)
            body += element(_VOID, bytes(room - 9), 8) if room > 100 else element(_VOID, bytes(room - 2), 1)
            out += element(_TRACK, body, 8)
        elif part.name == _TRACK:
            out += element(_TRACK, part.content, 8)
        elif part.name != _CRC:
            out += element(part.name, part.content)
    checked = len(content) - len(out) == 6
    out = (element(_CRC, zlib.crc32(out).to_bytes(4, "little")) if checked else b"") + out
    return out if found and len(out) == len(content) else None


def _named(part: Element) -> Element:
    """A name without the room at its end."""
    return part._replace(content=part.content.removesuffix(RESERVED.encode())) if part.name == _NAME else part


def _video(
    video: Element, shape: Fraction | None, mastering: MasteringDisplay | None, light: ContentLight | None
) -> bytes:
    parts = {e.name: e.content for e in elements(video.content)}
    if shape is not None:
        ratio = shape * int.from_bytes(parts[_WIDTH], "big") / int.from_bytes(parts[_HEIGHT], "big")
        parts[_DISPLAY_WIDTH], parts[_DISPLAY_HEIGHT] = _number(ratio.numerator), _number(ratio.denominator)
        parts[_DISPLAY_UNIT] = _number(_ASPECT_RATIO)
    if mastering is not None or light is not None:
        parts[_COLOUR] = parts.get(_COLOUR, b"") + _hdr(mastering, light)
    return b"".join(element(name, content) for name, content in parts.items())


def _hdr(mastering: MasteringDisplay | None, light: ContentLight | None) -> bytes:
    out = b""
    if light is not None:
        out += element(_MOST_LIGHT, _number(light.most)) + element(_AVERAGE_LIGHT, _number(light.average))
    if mastering is not None:
        points = [part for point in (*mastering.primaries, mastering.white) for part in point]
        values = [*zip(_CHROMATICITIES, points), (_LUMINANCE_MOST, mastering.luminance[1])]
        values.append((_LUMINANCE_LEAST, mastering.luminance[0]))
        out += element(_MASTERING, b"".join(element(name, struct.pack(">d", value)) for name, value in values))
    return out


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
