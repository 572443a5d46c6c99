"""A decoded frame of a film as 8-bit RGB: its matrix and range as tagged, HDR as SDR, transparency kept apart."""

from __future__ import annotations

from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from vp_jax.media.images import Picture
from vp_jax.media.packed_picture import PackedPicture
from vp_jax.media.pixels.hdr_metadata import peak_of
from vp_jax.media.pixels.light import light_of
from vp_jax.media.pixels.pixel_format import CONVERSION, planes_of

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_ORDERS = {
    "bgr0": (cv2.COLOR_BGRA2RGB, 4),
    "rgb0": (cv2.COLOR_RGBA2RGB, 4),
    "bgr24": (cv2.COLOR_BGR2RGB, 3),
}
"""Packed formats of 8-bit RGB: how OpenCV reorders them, and their bytes for each pixel."""
_THUMBNAIL = 256


def picture_of(
    frame: av.VideoFrame,
    orientation: tuple[bool, bool, bool],
    lossless: bool,
    size: tuple[int, int] | None,
    reformatter: VideoReformatter,
) -> Picture:
    """A frame of a film as a picture, in the colours that are seen.

    Args:
      frame: as it is decoded.
      orientation: see `vp_jax.media.decoded_frame.DecodedFrame`.
      lossless: see there.
      size: height and width to reduce plain 8-bit Y'CbCr to; ``None``: the frame's.
      reformatter: that of the frames before it: what is prepared for a size and format serves all frames of a film.
    """
    options: dict[str, Any] = {"interpolation": CONVERSION}
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        hd = frame.height >= 720 or frame.width >= 1280
        options["src_colorspace"] = Colorspace.ITU709 if hd else Colorspace.ITU601
    if any(component.is_alpha for component in frame.format.components) or frame.format.has_palette:
        rgba_HWC = turned(_array(frame, reformatter, "rgba", **options), orientation)
        alpha_HW = rgba_HWC[..., 3]
        alpha_HW = None if (alpha_HW == 255).all() else alpha_HW
        return Picture(rgba_HWC[..., :3], alpha_HW, lossless=lossless, has_alpha=True)
    deep = frame.format.is_rgb and frame.format.components[0].bits > 8
    if deep or light_of(frame.color_trc, frame.color_primaries):
        signal_HWC = _array(frame, reformatter, "rgb48le", **options)
        light = light_of(frame.color_trc, frame.color_primaries, peak_of(frame))
        sdr_HWC = light.to_sdr(signal_HWC) if light else _shallow(signal_HWC)
        return Picture(turned(sdr_HWC, orientation), lossless=lossless)
    if frame.format.name in _ORDERS:
        order, bytes_each = _ORDERS[frame.format.name]
        packed_HWB = turned(_packed(frame, bytes_each), orientation)
        if bytes_each == 4:
            return PackedPicture(packed_HWB, order, lossless)
        return Picture(np.asarray(cv2.cvtColor(packed_HWB, order)), lossless=lossless)
    if size is not None:
        options["height"], options["width"] = size[::-1] if orientation[0] else size
    return Picture(turned(_rgb(frame, reformatter, **options), orientation), lossless=lossless)


def thumbnail(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """RGB uint8 of a frame as it is stored, reduced to 256 pixels on the longer side; good enough to compare frames.

    Args:
      frame: of any format.
      reformatter: see `picture_of`; another than is used there.
    """
    scale = min(1.0, _THUMBNAIL / max(frame.height, frame.width))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    return _array(frame, reformatter, "rgb24", width=width, height=height, interpolation="AREA")


def _array(frame: av.VideoFrame, reformatter: VideoReformatter, pixel_format: str, **options: Any) -> np.ndarray:
    """A frame in another format as an array."""
    return np.asarray(reformatter.reformat(frame, format=pixel_format, **options).to_ndarray())


def _rgb(frame: av.VideoFrame, reformatter: VideoReformatter, **options: Any) -> np.ndarray:
    """A frame as RGB of 8 bits. FFmpeg makes planes in half the time of packed pixels, with equal values."""
    if frame.format.name == "rgb24":
        return _array(frame, reformatter, "rgb24", **options)
    green_HW, blue_HW, red_HW = planes_of(reformatter.reformat(frame, format="gbrp", **options))
    return np.asarray(cv2.merge([red_HW, green_HW, blue_HW]))


def _packed(frame: av.VideoFrame, bytes_each: int) -> np.ndarray:
    """The bytes of a frame in a format of `_ORDERS`, uint8 (H, W, bytes); the frame's own memory."""
    rows_HB = np.frombuffer(cast(Any, frame.planes[0]), np.uint8).reshape(frame.height, -1)
    return rows_HB[:, : bytes_each * frame.width].reshape(frame.height, frame.width, bytes_each)


def _shallow(deep: np.ndarray) -> np.ndarray:
    """16 bits to the nearest of 8; swscale rounds down."""
    return np.asarray((deep.astype(np.uint32) * 255 + 32767) // 65535, np.uint8)


def turned(picture_HWC: np.ndarray, orientation: tuple[bool, bool, bool]) -> np.ndarray:
    """A stored picture as it is shown, see `vp_jax.media.decoded_frame.DecodedFrame`."""
    exchanged, mirrored, upside_down = orientation
    if exchanged:
        picture_HWC = picture_HWC.swapaxes(0, 1)
    return np.ascontiguousarray(picture_HWC[:: -1 if upside_down else 1, :: -1 if mirrored else 1])
