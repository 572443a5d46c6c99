"""Frames of a source in its own planes and depth, upright, one at a time: for a result whose kept pixels are its own.

A film that was not kept is decoded again, a folder of images is read with FFmpeg, which keeps 16 bits; what only Pillow
reads (APNG, WebP, JPEG 2000, AVIF) comes in 8-bit RGB.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.decoded_frame import DecodedFrame
from vp_jax.media.film import film_frames
from vp_jax.media.images import Picture, image_files, image_info, pictures, read_picture
from vp_jax.media.inputs import is_folder
from vp_jax.media.pixels.pixel_format import PixelFormat, Planes, pixel_format, planes_of, spread
from vp_jax.media.source import SourceVideo, image_frame, upright_layout
from vp_jax.reading import show


class NativeFrame(NamedTuple):
    """One frame of a source.

    Attributes:
      number: from 0, of the source.
      planes, layout: its samples, upright. The layout differs from the source's in folders of mixed images.
    """

    number: int
    planes: Planes
    layout: PixelFormat


def native_frames(source: SourceVideo, wanted: Container[int]) -> Iterator[NativeFrame]:
    """Yield the requested frames of a source whose ``layout`` is known.

    Raises:
      UserError: the source changed since it was described, is damaged, or its frames differ in size.
    """
    source.check_unchanged()
    for frame in _frames(source, wanted):
        if frame.planes[0].shape != (source.height, source.width):
            rows, columns = frame.planes[0].shape
            raise UserError(
                f"{show(source.path)}, frame {frame.number}: {columns}x{rows} pixels, "
                f"expected {source.width}x{source.height} as in the first frame"
            )
        yield frame
    source.check_unchanged()


def upright(planes: Planes, orientation: tuple[bool, bool, bool]) -> Planes:
    """Planes exchanged and mirrored as `vp_jax.media.decoded_frame.DecodedFrame` says."""
    exchanged, mirrored, flipped = orientation
    if not any(orientation):
        return planes
    if exchanged:
        planes = tuple(plane.T for plane in planes)
    return tuple(np.ascontiguousarray(plane[:: -1 if flipped else 1, :: -1 if mirrored else 1]) for plane in planes)


def _frames(source: SourceVideo, wanted: Container[int]) -> Iterator[NativeFrame]:
    path = source.path
    if is_folder(path):
        for number, file in enumerate(image_files(path)):
            if number in wanted:
                yield _image(file, number)
    elif (image := image_info(path)) is not None and image.frames == 1:
        yield _image(path, 0)
    elif image is not None:
        yield from (_pictured(number, picture) for number, picture in pictures(path, wanted))
    elif source.kept is not None and source.kept.complete:
        yield from source.kept.converted(wanted, _turned)
    else:
        yield from map(_turned, film_frames(path, wanted))


def _image(file: Path, number: int) -> NativeFrame:
    """An image, by FFmpeg if it knows the format, else by Pillow."""
    decoded = image_frame(file)
    if decoded is None:
        return _pictured(number, read_picture(file))
    return _turned(decoded._replace(number=number))


def _turned(decoded: DecodedFrame) -> NativeFrame:
    layout = pixel_format(decoded.frame.format.name)
    if layout is None:
        raise UserError(f"frame {decoded.number}: its format changes to {decoded.frame.format.name}")
    planes = planes_of(decoded.frame)
    turned, _, repeated = upright_layout(layout, (0.0, 0.0), decoded.orientation, planes[0].shape)
    if repeated:
        planes, _ = spread(planes, layout)
    return NativeFrame(decoded.number, upright(planes, decoded.orientation), turned)


def _pictured(number: int, picture: Picture) -> NativeFrame:
    red, green, blue = np.moveaxis(picture.rgb_HWC, -1, 0)
    alpha = () if picture.alpha_HW is None else (picture.alpha_HW,)
    return NativeFrame(number, (green, blue, red, *alpha), PixelFormat("rgb", 8, alpha=bool(alpha)))
