"""Reading image files with Pillow: stills, and the films that image formats hold (APNG, WebP, TIFF, AVIF).

Every picture comes upright (EXIF orientation applied), in 8 bits per channel, with its transparency and its palette
indexes kept apart, because a mask may lie in any of the three. GIF is a film, which FFmpeg reads (`vp_jax.media.film`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Container, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vp_jax.errors import UserError
from vp_jax.media.inputs import is_folder, list_folder, natural_order, open_regular, reason
from vp_jax.reading import show

IMAGE_SUFFIXES = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .jp2 .j2k .avif .mpo".split()
)
"""Names that are frames in a folder; a single file is asked what it is, whatever its name."""

MOST_PIXELS = 64 * 10**6
"""Pixels that an image or frame may have unless the caller asks for more."""

FOLDER_FPS = Fraction(8)
"""Rate of pictures that state none: the rate the models were trained at."""

_ORIENTATION = 0x0112  # EXIF's tag; from 5 on rows and columns are exchanged
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "AVIF")
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF", "WEBP")

_USUAL_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "I", "I;16", "I;16L", "I;16B", "I;16N")

# Pillow warns about images over 89 million pixels before their size is known here; the limit here is lower
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclasses.dataclass
class Picture:
    """One decoded picture.

    Attributes:
      rgb_HWC: uint8 colours as stored, transparency left out.
      alpha_HW: uint8, 255 = opaque; None if nothing is transparent.
      index_HW: palette index or grey value before scaling, where the picture can hold labels.
      palette: of a palette image, whether the entries that it uses are "grey", "coloured", or grey with coloured ones
        to "spare"; "" for other images.
      has_alpha: there is a channel for transparency, used or not.
      lossless: values are what was drawn, not what a codec made of them.
    """

    rgb_HWC: np.ndarray
    alpha_HW: np.ndarray | None = None
    index_HW: np.ndarray | None = None
    palette: Literal["", "grey", "spare", "coloured"] = ""
    lossless: bool = True
    has_alpha: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rgb_HWC.shape[0], self.rgb_HWC.shape[1]

    def above(self, level: int) -> np.ndarray:
        """Where the brightest channel, over black, is above a level, 0 to 255: bool (H, W)."""
        dark_HW = cv2.inRange(self.over_black(), (0.0, 0.0, 0.0), (float(level),) * 3)  # in all three channels
        bright_HW: np.ndarray = dark_HW == 0
        return bright_HW

    def over_black(self) -> np.ndarray:
        """Colours uint8 HWC, black where transparent."""
        if self.alpha_HW is None:
            return self.rgb_HWC
        weighted_HWC = self.rgb_HWC.astype(np.uint16) * self.alpha_HW[..., None]
        over_HWC: np.ndarray = ((weighted_HWC + 127) // 255).astype(np.uint8)
        return over_HWC


class ImageInfo(NamedTuple):
    """What an image file holds: pictures, upright size of the first, rate of a film (None for one picture)."""

    frames: int
    height: int
    width: int
    fps: Fraction | None


def image_info(source: str | Path | bytes) -> ImageInfo | None:
    """What an image file holds, from its headers; None if it is no image that Pillow reads here.

    Raises:
      UserError: it cannot be opened, is damaged, or has more than 64 million pixels.
    """
    with _opened(source, MOST_PIXELS) as image:
        if image is None:
            return None
        with _faults(source):
            frames = _frames(image)
            width, height = image.size if image.getexif().get(_ORIENTATION, 1) < 5 else image.size[::-1]
            return ImageInfo(frames, height, width, _rate(image, frames) if frames > 1 else None)


def pictures(source: str | Path | bytes, wanted: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
    """Yield (number, picture) of the requested pictures of an image file (None: all). Raises `UserError`."""
    with _opened(source, MOST_PIXELS) as image:
        if image is None:
            raise UserError(f"{_name(source)}: cannot be read as an image (unknown format)")
        with _faults(source):
            frames = _frames(image)
        for index in range(frames):
            with _faults(source, f"picture {index}"):
                image.seek(index)
                image.load()  # films are pictures on top of each other: none may be left out
                picture = None if wanted is not None and index not in wanted else _picture(image, source)
            if picture is not None:
                yield index, picture


def read_picture(source: str | Path | bytes, *, most_pixels: int = MOST_PIXELS) -> Picture:
    """The one picture of an image file.

    Raises:
      UserError: missing, unreadable, a film of several pictures, or larger than ``most_pixels``.
    """
    with _opened(source, most_pixels) as image:
        if image is None:
            raise UserError(f"{_name(source)}: cannot be read as an image (unknown format)")
        with _faults(source):
            if (frames := _frames(image)) > 1:
                raise UserError(f"{_name(source)}: holds {frames} pictures, expected one image")
            return _picture(image, source)


def read_image(source: str | Path | bytes, *, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """One image as uint8 HWC RGB, upright, over black where it is transparent. `UserError` as `read_picture`."""
    return read_picture(source, most_pixels=most_pixels).over_black()


def has_usual_colours(source: str | Path | bytes) -> bool:
    """Whether an image is grey, RGB or a palette of it, which all readers show alike; CMYK and Lab are not."""
    with _opened(source, MOST_PIXELS) as image:
        return image is not None and image.mode in _USUAL_MODES


def image_files(folder: str | Path) -> list[Path]:
    """Images of a folder in natural order; hidden and other files are passed over. `UserError` if there are none."""
    files = [f for f in list_folder(folder) if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith(".")]
    if not files:
        raise UserError(f"{show(folder)}: no images in this folder, expected frames such as 00000.png or 00000.jpg")
    return sorted(files, key=natural_order)


@contextlib.contextmanager
def _opened(source: str | Path | bytes, most_pixels: int) -> Iterator[Image.Image | None]:
    """The image of a file, not decoded yet; None if Pillow does not know its format."""
    if not isinstance(source, bytes) and is_folder(source):
        raise UserError(f"{show(source)}: is a folder, expected an image")
    with contextlib.ExitStack() as stack:
        file = io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(open_regular(source))
        try:
            with _faults(source):
                image = stack.enter_context(Image.open(file, formats=_FORMATS))
        except UserError as error:
            if not isinstance(error.__cause__, UnidentifiedImageError):
                raise
            yield None
            return
        if image.width * image.height > most_pixels:
            raise UserError(
                f"{_name(source)}: {image.width}x{image.height} pixels, expected at most {most_pixels / 1e6:g} million"
            )
        yield image


def _frames(image: Image.Image) -> int:
    """Pictures of a film; the further pictures of a JPEG are previews and second views, not frames."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def durations(source: str | Path | bytes) -> tuple[Fraction, ...] | None:
    """Seconds that each picture of an image file is shown; None if it is no image that Pillow reads here.

    A picture without a duration is shown for 1/10 s, as browsers do. `UserError` if the file cannot be read.
    """
    with _opened(source, MOST_PIXELS) as image:
        if image is None:
            return None
        with _faults(source):
            shown = _durations(image, _frames(image))
    return (
        tuple(duration or Fraction(1, 10) for duration in shown) if any(shown) else tuple(1 / FOLDER_FPS for _ in shown)
    )


def _durations(image: Image.Image, frames: int) -> list[Fraction]:
    """Seconds of each picture as stated, 0 where nothing is."""
    shown = []
    for index in range(frames):
        image.seek(index)
        if image.format in ("WEBP", "AVIF"):
            image.load()
        shown.append(Fraction(float(image.info.get("duration") or 0)).limit_denominator(1000) / 1000)
    return shown


def _rate(image: Image.Image, frames: int) -> Fraction:
    """Average pictures per second by the durations that a film states."""
    total = sum(_durations(image, frames), Fraction(0))
    return frames / total if total > 0 else FOLDER_FPS


def _picture(image: Image.Image, source: str | Path | bytes) -> Picture:
    lossless = image.format not in _LOSSY
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode in ("F", "I;16S", "I;32", "I;32B"):
        raise UserError(
            f"{_name(source)}: its values are {image.mode} (floating point or signed), expected 8 or 16 bits"
        )
    if image.mode.startswith("I"):
        return _deep(np.asarray(image).astype(np.int64), source)
    index_HW, alpha_HW = None, None
    palette: Literal["", "grey", "spare", "coloured"] = ""
    if image.mode == "P":
        index_HW = np.asarray(image)
        palette = _palette_kind(np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3), index_HW)
    elif image.mode in ("1", "L"):
        index_HW = np.asarray(image).astype(np.uint8)
    has_alpha = bool({"A", "a"} & set(image.getbands())) or "transparency" in image.info
    if has_alpha:
        rgba_HWC = np.asarray(image.convert("RGBA"))
        rgb_HWC, alpha_HW = rgba_HWC[..., :3], rgba_HWC[..., 3]
        alpha_HW = None if (alpha_HW == 255).all() else alpha_HW
    else:
        rgb_HWC = np.asarray(image.convert("RGB"))
    return Picture(rgb_HWC, alpha_HW, index_HW, palette, lossless, has_alpha)


def _palette_kind(entries_x3: np.ndarray, index_HW: np.ndarray) -> Literal["grey", "spare", "coloured"]:
    coloured_x = (entries_x3 != entries_x3[:, :1]).any(axis=1)
    if coloured_x[np.unique(index_HW[index_HW < len(entries_x3)])].any():
        return "coloured"
    return "spare" if coloured_x.any() else "grey"


def _deep(values_HW: np.ndarray, source: str | Path | bytes) -> Picture:
    """16-bit grey to 8 bits, which Pillow would cut at 255; what is above 0 stays above 0."""
    if values_HW.min(initial=0) < 0 or values_HW.max(initial=0) > 65535:
        raise UserError(f"{_name(source)}: values {values_HW.min()} to {values_HW.max()}, expected 0 to 65535")
    grey_HW = np.maximum(values_HW >> 8, values_HW > 0).astype(np.uint8)
    return Picture(np.repeat(grey_HW[:, :, None], 3, axis=2), None, values_HW.astype(np.int32))


@contextlib.contextmanager
def _faults(source: str | Path | bytes, where: str = "") -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Pillow raises what its parsers of foreign bytes happen to raise
        at = f", {where}" if where else ""
        raise UserError(f"{_name(source)}{at}: cannot be read as an image ({reason(error)})") from error


def _name(source: str | Path | bytes) -> str:
    return "image" if isinstance(source, bytes) else show(source)
