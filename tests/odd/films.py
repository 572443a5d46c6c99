"""Odd videos: orientation, colours, containers, names."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tests import clip_files
from tests.odd.drawing import CLIP, GREY, HOLES, VPX, F, H, W, animated, film, images, stored

CORNERS = CLIP.copy()
CORNERS[:, :16, :24] = (230, 30, 30)  # top left, so that every orientation looks different
X264 = {"crf": "8"}


def h264(path: Path, frames: np.ndarray = CORNERS, **options: Any) -> Path:
    return stored(path.with_suffix(".mp4"), frames, "libx264", "yuv444p", options=X264, **options)


def display(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write the display matrix: a step right on the stored picture is (a, b) on the screen, a step down (c, d)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 8
    one = 1 << 16
    values = [
        a * one,
        b * one,
        0,
        c * one,
        d * one,
        0,
        W * one if min(a, c) < 0 else 0,
        H * one if min(b, d) < 0 else 0,
        1 << 30,
    ]
    data[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)
    return path


TURNS = {
    "rotated by 90": ((0, 1, -1, 0), np.rot90(CORNERS, -1, (1, 2))),
    "rotated by 180": ((-1, 0, 0, -1), np.rot90(CORNERS, 2, (1, 2))),
    "rotated by 270": ((0, -1, 1, 0), np.rot90(CORNERS, 1, (1, 2))),
    "mirrored": ((-1, 0, 0, 1), CORNERS[:, :, ::-1]),
    "upside down, mirrored": ((1, 0, 0, -1), CORNERS[:, ::-1]),
    "rotated by 90, mirrored": ((0, 1, 1, 0), CORNERS.swapaxes(1, 2)),
}
for _name, (_matrix, _frames) in TURNS.items():
    film(_name, _frames, mean=2.5)(lambda path, matrix=_matrix: display(h264(path), *matrix))


def luma_chroma(frames: np.ndarray, red: float, blue: float, full: bool) -> np.ndarray:
    """Frames FHWC as planes F3HW, Y'CbCr by the weights of red and blue (BT.601: .299 .114, BT.709: .2126 .0722)."""
    r, g, b = (frames[..., channel].astype(float) / 255 for channel in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    planes = np.stack([y, (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))], axis=1)
    scale, offset = ((255, 255, 255), (0, 128, 128)) if full else ((219, 224, 224), (16, 128, 128))
    scaled = planes * np.reshape(scale, (3, 1, 1)) + np.reshape(offset, (3, 1, 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def tagged(path: Path, frames: np.ndarray, weights: tuple[float, float], full: bool, **context: Any) -> Path:
    planes = luma_chroma(frames, *weights, full)
    context["color_range"] = 2 if full else 1
    return stored(
        path.with_suffix(".mp4"), planes, "libx264", "yuv444p", options={"qp": "0"}, source="yuv444p", context=context
    )


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)
HD = clip_files.moving(3, 720, 1280)
film("full range", mean=1.5)(lambda path: tagged(path, CLIP, BT709, True, colorspace=1))
film("tagged BT.601", mean=1.5)(lambda path: tagged(path, CLIP, BT601, False, colorspace=6))
film("tagged BT.709", mean=1.5)(lambda path: tagged(path, CLIP, BT709, False, colorspace=1))
film("untagged, small (BT.601)", mean=1.5)(lambda path: tagged(path, CLIP, BT601, False))
film("untagged HD (BT.709)", HD, mean=1.5)(lambda path: tagged(path, HD, BT709, False))


@film("10-bit", mean=1.5)
def _(path: Path) -> Path:
    return stored(path.with_suffix(".mkv"), CLIP, "ffv1", "yuv444p10le")


@film("non-square pixels", mean=2.5)
def _(path: Path) -> Path:
    return h264(path, CLIP, context={"sample_aspect_ratio": Fraction(4, 3)})


@film("edit list", CLIP[2:6], mean=2.5)
def _(path: Path) -> Path:
    """The index cuts off two frames at the start and two at the end."""
    file = h264(path, CLIP)
    data = bytearray(file.read_bytes())
    at = data.index(b"elst") + 12
    duration, start = (int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big") for i in range(2))
    with av.open(str(file)) as container:
        tick = container.streams.video[0].duration // F
    data[at : at + 8] = (duration // 2).to_bytes(4, "big") + (start + 2 * tick).to_bytes(4, "big")
    file.write_bytes(data)
    return file


@film("AVI with null frames", CLIP[[0, 1, 2, 5, 6, 7]], mean=4)
def _(path: Path) -> Path:
    options = {"qscale": "2", "flags": "+qscale"}
    return stored(path.with_suffix(".avi"), CLIP, "mpeg4", "yuv420p", options=options, skip=(3, 4))


film("MPEG-TS", mean=3)(lambda path: stored(path.with_suffix(".ts"), CLIP, "libx264", "yuv420p", options=X264))
film("fragmented mp4", mean=2.5)(
    lambda path: h264(path, CLIP, container={"movflags": "frag_keyframe+empty_moov+default_base_moof"})
)
film("variable rate", CLIP[[0, 1, 2, 5, 6, 7]], mean=2.5)(lambda path: h264(path, CLIP, skip=(3, 4)))
film("mkv, FFV1")(lambda path: stored(path.with_suffix(".mkv"), CLIP, "ffv1", "bgr0"))
film("WebM with alpha", CLIP * HOLES[..., None], mean=4)(
    lambda path: stored(
        path.with_suffix(".webm"),
        np.concatenate([CLIP, GREY[..., None]], axis=-1),
        "libvpx-vp9",
        "yuva420p",
        options={**VPX, "crf": "8"},
        source="rgba",
    )
)
film("APNG")(lambda path: animated(path, ".png", [Image.fromarray(frame) for frame in CLIP], duration=125))
film("animated WebP")(
    lambda path: animated(path, ".webp", [Image.fromarray(frame) for frame in CLIP], duration=125, lossless=True)
)


@film("photographs turned by EXIF", mean=4)
def _(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = [Image.fromarray(frame).transpose(Image.Transpose.ROTATE_90) for frame in CLIP]
    return images(path, turned, ".jpg", quality=95, exif=exif)


NAMES = {"a colon": "a:b", "blanks": " a  b ", "an emoji": "a🎬b", "a percent sign": "a%03d", "brackets": "a[1]*?"}
for _label, _stem in NAMES.items():
    film(f"name with {_label}", CORNERS, mean=2.5)(lambda path, stem=_stem: h264(path.with_name(stem), CORNERS))
