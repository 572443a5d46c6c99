"""A video stream to write, and what its encoder takes in its own words.

Quality is a constant rate factor of H.264, 0 (best) to 51. VP9 and AV1 have a scale to 63, which runs in proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple

import av

from vp_jax.media.pixels.colour import UNTAGGED, Colours
from vp_jax.media.pixels.hdr_metadata import ContentLight, MasteringDisplay
from vp_jax.media.pixels.pixel_format import PixelFormat

QUALITY = 17
"""Constant rate factor of lossy results unless the user chooses another: near-lossless to the eye."""

_FFV1 = {"level": "3", "slices": "4"}
PACKED = {"gbrp": "bgr0", "gbrap": "bgra"}
"""FFV1 has 8-bit RGB in packed formats only."""


class VideoTrack(NamedTuple):
    """A video stream to write.

    Attributes:
      suffix: of the file.
      codec: encoder of FFmpeg.
      pix_fmt: format that the encoder takes.
      layout: planes that frames are converted to; None for a palette.
      colours: tags.
      site: FFmpeg's name of the chroma site, "" if not stated.
      pixel_shape: width to height of a pixel, None if not stated.
      top_first: of interlaced video, None for progressive.
      tag: four characters that name the codec in mp4, "" for the usual ones.
      mastering, content_light: HDR metadata.
      options: of the encoder.
      lost: what the format cannot hold, one line each.
    """

    suffix: str
    codec: str
    pix_fmt: str
    layout: PixelFormat | None = None
    colours: Colours = UNTAGGED
    site: str = ""
    pixel_shape: Fraction | None = None
    top_first: bool | None = None
    tag: str = ""
    mastering: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    options: Mapping[str, str] = MappingProxyType({})
    lost: tuple[str, ...] = ()

    @property
    def reserves_room(self) -> bool:
        """Pixel shape and HDR metadata must be added to the finished file, see `vp_jax.media.matroska`."""
        stated = (self.pixel_shape not in (None, 1)) or self.mastering or self.content_light
        return bool(stated) and self.suffix in (".mkv", ".webm")


def with_options(track: VideoTrack, size: tuple[int, int], quality: int | None) -> VideoTrack:
    """The track with the options of its encoder for frames of a height and width."""
    if track.codec == "ffv1":
        options = _ffv1_options(track.pix_fmt, size)
    else:
        options = _quality_options(track.codec, quality)
    if track.site:
        options["chroma_sample_location"] = track.site
    if track.codec == "libx264" and track.top_first is not None:
        options["x264-params"] = "tff=1" if track.top_first else "bff=1"
    if track.codec == "libx265":
        options["x265-params"] = ":".join(["log-level=none", *_hdr_params(track)])
    if track.codec == "libvpx-vp9" and track.layout and track.layout.alpha:
        options["auto-alt-ref"] = "0"
    return track._replace(options=options)


def _quality_options(codec: str, quality: int | None) -> dict[str, str]:
    crf = QUALITY if quality is None else quality
    wide = str(min(63, round(crf * 20 / 17)))
    return {
        "libx264": {"crf": str(crf), "preset": "medium"},
        "libx265": {"crf": str(crf), "preset": "medium"},
        "libvpx-vp9": {"crf": wide, "b": "0", "row-mt": "1", "cpu-used": "4"},
        "libsvtav1": {"crf": wide, "preset": "6"},
        "mpeg4": {"qscale": str(max(2, round(crf * 2 / 17))), "flags": "+qscale"},
    }[codec]


def _ffv1_options(pix_fmt: str, size: tuple[int, int]) -> dict[str, str]:
    """Four slices, as many as small odd sizes allow otherwise: chroma must be cut where luma is."""
    encoder = av.CodecContext.create("ffv1", "w")
    encoder.height, encoder.width = size
    encoder.pix_fmt, encoder.time_base = pix_fmt, Fraction(1, 24)
    encoder.options = dict(_FFV1)
    try:
        encoder.open()
    except (av.error.FFmpegError, NotImplementedError):
        return {"level": _FFV1["level"]}
    return dict(_FFV1)


def _hdr_params(track: VideoTrack) -> list[str]:
    out = []
    if track.mastering:
        red, green, blue = ((round(50_000 * x), round(50_000 * y)) for x, y in track.mastering.primaries)
        white = tuple(round(50_000 * part) for part in track.mastering.white)
        least, most = (round(10_000 * part) for part in track.mastering.luminance)
        points = "".join(f"{n}({x},{y})" for n, (x, y) in zip(("G", "B", "R", "WP"), (green, blue, red, white)))
        out.append(f"master-display={points}L({most},{least})")
    if track.content_light:
        out.append(f"max-cll={track.content_light.most},{track.content_light.average}")
    return ["hdr10=1", "repeat-headers=1", *out] if out else []
