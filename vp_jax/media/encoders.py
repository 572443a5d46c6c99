"""Which encoder writes which pixels: the source's format where the codec has it, else the nearest and what is lost.

======== ==================================================================== =================================
suffix   encoder                                                              keeps
======== ==================================================================== =================================
mkv      FFV1, lossless                                                       format, depth, transparency
mp4 mov  H.264 up to 10 bits; H.265 for HDR and for 12 bits                   4:2:0, 4:2:2, 4:4:4, grey
mp4      VP9, or AV1 for 10 bits, for odd sizes with subsampled chroma        4:2:0, 4:2:2, 4:4:0
webm     VP9; AV1 in 10 bits where this libvpx has 8 only                     8 bits; 4:2:0 in 10 bits
======== ==================================================================== =================================

H.264 and H.265 count sizes in steps of the chroma, so they cannot state an odd size in 4:2:0; VP9 and AV1 can, and
browsers play them in mp4 too. RGB becomes 4:2:0 in 8 bits, which every player has, and 4:4:4 in more.
"""

from __future__ import annotations

import functools
from pathlib import Path

import av

from vp_jax.errors import UserError
from vp_jax.media.pixels.colour import BT709, FULL, LIMITED, UNSPECIFIED, Colours
from vp_jax.media.pixels.frame_properties import site_name
from vp_jax.media.pixels.light import HLG, PQ, WIDE
from vp_jax.media.pixels.pixel_format import PixelFormat
from vp_jax.media.source import SourceVideo
from vp_jax.media.video_track import PACKED, VideoTrack, with_options
from vp_jax.schema import check_number

SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".gif")
LOSSLESS = (".mkv", "")
"""Suffixes whose pixels are bit-exact; "" is a folder of PNG."""

_LABELS = {
    "libx264": "H.264",
    "libx265": "H.265",
    "libvpx-vp9": "VP9",
    "libsvtav1": "AV1",
    "ffv1": "FFV1",
    "mpeg4": "MPEG-4",
    "gif": "GIF",
}
_ANY_SIZE = ("ffv1", "libvpx-vp9", "libsvtav1")


def check_quality(quality: int | None, path: Path) -> None:
    """Raises:
    UserError: a quality out of its range, or one for a format that has none.
    """
    if quality is None:
        return
    check_number("quality", quality)
    if path.suffix.lower() in (*LOSSLESS, ".gif"):
        kind = "has none" if path.suffix.lower() == ".gif" else "is lossless"
        raise UserError(f"quality {quality}: {path.suffix or 'a folder of PNG'} {kind}, leave it off")


def track_for_arrays(suffix: str, size: tuple[int, int], quality: int | None = None) -> VideoTrack:
    """The stream for 8-bit RGB: 4:2:0 in BT.709, RGB in mkv, a palette in gif.

    Raises:
      UserError: this PyAV cannot encode the format.
    """
    if suffix == ".gif":
        return VideoTrack(suffix, "gif", "pal8")
    if suffix == ".mkv":
        track = VideoTrack(suffix, "ffv1", "bgr0", PixelFormat("rgb", 8))
    else:
        codec, layout = _codec(suffix, PixelFormat("yuv", 8, (2, 2)), size, hdr=False)
        track = VideoTrack(suffix, codec, layout.name, layout, BT709)
    return with_options(track, size, quality)


def track_for(source: SourceVideo, suffix: str, quality: int | None = None) -> VideoTrack:
    """The stream for the frames of a source, in its own pixels where the format can.

    Raises:
      UserError: this PyAV cannot encode the format.
    """
    given, size = source.layout, (source.height, source.width)
    assert given is not None
    colours, lost = source.colours, list(source.notes)
    hdr = source.mastering is not None or colours.transfer in (PQ, HLG)
    if suffix == ".mkv":
        codec, layout = "ffv1", _nearest_ffv1(given)
    else:
        wanted = given if suffix == ".webm" else given._replace(alpha=False)
        if given.family == "rgb":
            wanted = PixelFormat("yuv", given.depth, (2, 2) if given.depth == 8 else (1, 1), wanted.alpha)
            colours = yuv_colours(colours)
        codec, layout = _codec(suffix, wanted, size, hdr=hdr)
    if layout._replace(alpha=given.alpha) != given:
        lost.append(f"format {given} becomes {layout}, which {_LABELS[codec]} has")
    if layout.family == "grey" and codec != "ffv1" and not colours.range:
        colours = colours._replace(range=FULL)  # H.264 of grey is shown as if it had chroma, of limited range
    if codec != "libx265" and suffix not in (".mkv", ".webm") and (source.mastering or source.content_light):
        lost.append(f"light of the mastering display is not written: {_LABELS[codec]} of this FFmpeg does not hold it")
    keeps_site = layout.subsampled and layout.step == given.step and (source.states_site or any(source.orientation))
    site = site_name(source.site, layout.step) if keeps_site else ""
    if site is None:
        lost.append("chroma of the turned source lies where no file can say: up to one pixel off in players")
    if source.interlaced and codec not in ("ffv1", "libx264"):
        lost.append(f"fields of the interlaced source are not marked: {_LABELS[codec]} here has none")
    track = VideoTrack(
        suffix,
        codec,
        PACKED.get(layout.name, layout.name) if codec == "ffv1" else layout.name,
        layout,
        colours,
        site or "",
        source.pixel_shape,
        source.top_first,
        "hvc1" if codec == "libx265" else "",
        source.mastering,
        source.content_light,
        lost=tuple(lost),
    )
    return with_options(track, size, quality)


def png_layout(given: PixelFormat) -> PixelFormat:
    """Planes of a PNG for the frames of a source: 8 or 16 bits, RGB or grey."""
    return PixelFormat("grey" if given.family == "grey" else "rgb", 8 if given.depth == 8 else 16, (1, 1), given.alpha)


def yuv_colours(colours: Colours) -> Colours:
    """Tags of RGB that becomes Y'CbCr; RGB that states none is BT.709, as players assume."""
    if colours.primaries == WIDE:
        return colours._replace(matrix=9, range=LIMITED)
    primaries, transfer = (1 if tag == UNSPECIFIED else tag for tag in colours[:2])
    return Colours(primaries, transfer, 1, LIMITED)


def _codec(suffix: str, wanted: PixelFormat, size: tuple[int, int], *, hdr: bool) -> tuple[str, PixelFormat]:
    """The encoder and the nearest planes that it has."""
    if suffix == ".webm":
        choices = [("libvpx-vp9", wanted), ("libsvtav1", _as420(wanted, 10) if wanted.depth > 8 else None)]
        choices += [("libvpx-vp9", wanted._replace(depth=8)), ("libvpx-vp9", _as420(wanted, 8))]
    else:
        depth = next(d for d in (8, 10, 12) if d >= min(wanted.depth, 12))
        near = wanted._replace(depth=depth)
        full = near._replace(step=(1, 1))
        first, second = ("libx265", "libx264") if hdr or depth > 10 else ("libx264", "libx265")
        choices = [(first, near), (second, near)]
        if suffix == ".mp4" and _odd(near, size):
            choices += [("libvpx-vp9", near), ("libsvtav1", near)]
        choices += [(first, full), (second, full), ("mpeg4", PixelFormat("yuv", 8, (2, 2)))]
    for codec, layout in choices:
        if layout is None or codec not in av.codecs_available:
            continue
        if layout.name in formats(codec) and (codec in (*_ANY_SIZE, "mpeg4") or not _odd(layout, size)):
            return codec, layout
    raise UserError(f"this PyAV cannot encode {suffix}, write .mkv or a folder (no suffix) instead")


def _as420(wanted: PixelFormat, depth: int) -> PixelFormat:
    return PixelFormat("yuv", depth, (2, 2))


def _odd(layout: PixelFormat, size: tuple[int, int]) -> bool:
    return any(side % step for side, step in zip(size, layout.step))


def _nearest_ffv1(given: PixelFormat) -> PixelFormat:
    """FFV1 has nearly all; what it lacks fits into 4:4:4 or 16 bits."""
    choices = (given, given._replace(step=(1, 1)), given._replace(step=(1, 1), depth=16), PixelFormat("rgb", 16))
    return next(c for c in choices if PACKED.get(c.name, c.name) in formats("ffv1"))


@functools.cache
def formats(codec: str) -> frozenset[str]:
    """Names of the pixel formats that an encoder takes."""
    known = av.Codec(codec, "w").video_formats or []
    return frozenset(known_format.name for known_format in known)
