"""The images of a result that is a folder: PNG, or TIFF where the source is a folder of TIFF; 8 or 16 bits.

TIFF of 16-bit grey with transparency is the one kind that no reader here knows, so no source has it.

Each carries our name as its software, by which a folder is known as ours and may be replaced by another result.
"""

from __future__ import annotations

import re
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from vp_jax.media.pixels.colour import Colours
from vp_jax.media.pixels.pixel_format import PixelFormat, Planes, frame_of

PNG, TIFF = ".png", ".tiff"

_FORMATS = {
    ("rgb", False): ("rgb24", "rgb48"),
    ("rgb", True): ("rgba", "rgba64"),
    ("grey", False): ("gray", "gray16"),
    ("grey", True): ("ya8", "ya16"),
}
"""Formats of images, of 8 and of 16 bits, by family and transparency, without the order of bytes."""
_OPTIONS = {
    PNG: ("png", "be", {"compression_level": "4", "pred": "mixed"}),
    TIFF: ("tiff", "le", {"compression_algo": "deflate"}),
}
"""Encoder, order of bytes and options by suffix."""
_OWN_NAME = re.compile(rf"\d{{5,}}({re.escape(PNG)}|{re.escape(TIFF)})")
_SOFTWARE, _NAME = "Software", "vp_jax"
_SOFTWARE_TAG, _ASCII = 305, 2
"""Of TIFF 6.0."""


def suffix_for(files: list[Path]) -> str:
    """Suffix of the images of a result, by those of its source, if that is a folder."""
    return TIFF if files and files[0].suffix.lower() in (".tif", TIFF) else PNG


def still_bytes(planes: Planes, layout: PixelFormat, suffix: str, colours: Colours | None = None) -> bytes:
    """An image as a file of it.

    Args:
      planes: of 8 or 16 bits, RGB or grey.
      layout: what they are.
      suffix: `PNG` or `TIFF`.
      colours: for a tag of PNG (cICP), of HDR and wide gamuts.
    """
    codec, order, options = _OPTIONS[suffix]
    deep = layout.depth == 16
    name = _FORMATS[layout.family, layout.alpha][deep] + order * deep
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width, encoder.pix_fmt = *planes[0].shape, name
    encoder.time_base, encoder.options = Fraction(1), dict(options)
    frame = frame_of(planes, layout)
    frame = frame if name == layout.name else frame.reformat(format=name)
    if colours is not None:
        frame.color_primaries, frame.color_trc = colours[:2]
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode()])


def marked(content: bytes, suffix: str) -> bytes:
    """A file of `still_bytes`, or a PNG of Pillow, with our name as its software."""
    return _marked_png(content) if suffix == PNG else _marked_tiff(content)


def is_marked(file: Path) -> bool:
    """Whether a file is an image that `marked` made, with a name that a result gives it."""
    if not _OWN_NAME.fullmatch(file.name) or file.is_symlink() or not file.is_file():
        return False
    try:
        with Image.open(file, formats=("PNG", "TIFF")) as image:
            stated = image.info.get(_SOFTWARE) if image.format == "PNG" else image.getexif().get(_SOFTWARE_TAG)
            return bool(stated == _NAME)
    except (OSError, SyntaxError):
        return False


def _marked_png(content: bytes) -> bytes:
    """The name as first text, behind the header of 8 + 25 bytes."""
    text = b"tEXt" + f"{_SOFTWARE}\0{_NAME}".encode()
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return content[:33] + chunk + content[33:]


def _marked_tiff(content: bytes) -> bytes:
    """The name in place of FFmpeg's, which is longer."""
    out, name = bytearray(content), f"{_NAME}\0".encode()
    (first,) = struct.unpack_from("<I", content, 4)
    for entry in range(first + 2, first + 2 + 12 * struct.unpack_from("<H", content, first)[0], 12):
        tag, kind, count, place = struct.unpack_from("<HHII", content, entry)
        if (tag, kind) == (_SOFTWARE_TAG, _ASCII) and count >= len(name):
            struct.pack_into("<I", out, entry + 4, len(name))
            out[place : place + count] = name.ljust(count, b"\0")
    return bytes(out)
