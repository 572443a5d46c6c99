"""Pictures for people: a four-panel comparison video and sheets of pictures in rows, drawn with Pillow alone.

::

    comparison, every frame                       contact sheet, up to 8 frames
    +----------+--------+------+--------+                    frame 0   frame 11  ...
    | original | masked | mask | result |         original   [     ]   [     ]        hole outlined
    +----------+--------+------+--------+         masked     [ ▨   ]   [ ▨   ]        hole hatched
                                                  result     [     ]   [     ]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vp_jax.media.frames import Frames
from vp_jax.media.masks import dilate

PANELS = ("original", "masked", "mask", "result")
ROWS = ("original", "masked", "result")

Colour = tuple[int, int, int]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
PAPER, INK, FAINT, ACCENT = (22, 24, 29), (236, 238, 242), (150, 156, 168), (255, 122, 61)
_HATCH = np.array([(112, 115, 122), (134, 137, 145)], np.uint8)
_MAX_PANEL, _SHEET_CELL = 640, 300
_SHEET_FONT, _SHEET_LEFT = 32, 150
"""Labels of a sheet of eight columns, which is 2600 pixels wide, are 15 pixels high where it is shown 1240 wide."""
SHEET_COLUMNS = 8
"""Most frames on a contact sheet."""
SMALL = 128
"""Pixels; narrower videos are enlarged, to be seen at all."""
_GAP, _MARGIN = 8, 24


class Shown(NamedTuple):
    """A frame of source and result: uint8 (H, W, 3), bool (H, W), uint8 (H, W, 3), of one size."""

    original_HWC: np.ndarray
    hole_HW: np.ndarray
    result_HWC: np.ndarray


def comparison_frames(
    original_FHWC: Iterable[np.ndarray], holes_FHW: Iterable[np.ndarray], result_FHWC: Iterable[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the frames of the comparison video: four labelled panels side by side, even height and width.

    Args:
      original_FHWC: uint8 RGB; arrays or iterables of frames, read once.
      holes_FHW: bool, True = generated.
      result_FHWC: uint8 RGB of the same shape.

    Yields:
      uint8 HWC; panels wider than 640 pixels are reduced, those of videos up to 128 wide are four times as large.
    """
    yield from compared(map(Shown, original_FHWC, holes_FHW, result_FHWC))


def compared(frames: Iterable[Shown]) -> Iterator[np.ndarray]:
    """`comparison_frames` of frames that come one by one."""
    canvas = None
    for shown in frames:
        canvas = canvas or _Comparison(*shown.hole_HW.shape)
        yield canvas.draw(shown)


class _Comparison:
    """The canvas of a comparison video, with the labels of its panels."""

    def __init__(self, height: int, width: int) -> None:
        self._times = 4 if width <= SMALL else 1
        height, width = self._times * height, self._times * width
        scale = min(1.0, _MAX_PANEL / width)
        self._panel = (max(1, round(width * scale)), max(1, round(height * scale)))
        font_size = max(10, min(18, self._panel[0] // 20))
        font, self._bar = ImageFont.load_default(size=font_size), round(font_size * 1.8)
        size = (4 * self._panel[0] + 3 * _GAP, self._bar + self._panel[1])
        self._canvas = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)
        draw = ImageDraw.Draw(self._canvas)
        for column, label in enumerate(PANELS):
            middle = column * (self._panel[0] + _GAP) + self._panel[0] // 2
            draw.text(
                (middle, self._bar // 2), label, fill=ACCENT if label == "result" else INK, font=font, anchor="mm"
            )

    def draw(self, shown: Shown) -> np.ndarray:
        """The picture of a frame."""
        if self._times > 1:
            shown = Shown(*(part.repeat(self._times, axis=0).repeat(self._times, axis=1) for part in shown))
        original_HWC, hole_HW, result_HWC = shown
        grey_HWC = np.repeat(hole_HW[:, :, None], 3, axis=2).astype(np.uint8) * 255
        for column, picture_HWC in enumerate((original_HWC, masked(original_HWC, hole_HW), grey_HWC, result_HWC)):
            image = Image.fromarray(picture_HWC)
            if image.size != self._panel:
                image = image.resize(self._panel, Image.Resampling.BOX if column == 2 else Image.Resampling.BICUBIC)
            self._canvas.paste(image, (column * (self._panel[0] + _GAP), self._bar))
        return np.array(self._canvas)


def evenly(frames: int, most: int) -> list[int]:
    """Up to ``most`` evenly spaced numbers of frames, first and last among them."""
    return [int(number) for number in np.unique(np.linspace(0, frames - 1, min(most, frames)).round())]


def contact_sheet(
    original_FHWC: Frames,
    holes_FHW: Frames,
    result_FHWC: Sequence[np.ndarray] | np.ndarray,
    *,
    title: str = "",
    columns: int = SHEET_COLUMNS,
    numbers: Sequence[int] | None = None,
) -> Image.Image:
    """One picture of a run: original, masked and result at evenly spaced frames, first and last among them.

    Args:
      original_FHWC: uint8 RGB.
      holes_FHW: bool; the hole is outlined in the first row and hatched in the second; the result is left bare.
      result_FHWC: uint8 RGB of the same shape.
      title: one line above the pictures (the prompt), shortened to fit.
      columns: most frames to show.
      numbers: of the frames, where these are a few of a longer video; all are shown.
    """
    frames, height, width = holes_FHW.shape
    chosen = evenly(frames, columns) if numbers is None else range(frames)
    scale = _SHEET_CELL / max(height, width)
    cell = (max(1, round(width * scale)), max(1, round(height * scale)))
    rows: dict[str, list[np.ndarray]] = {label: [] for label in ROWS}
    for frame in chosen:
        original_HWC = fitted(original_FHWC[frame], cell)
        hole_HW = np.asarray(Image.fromarray(holes_FHW[frame]).resize(cell, Image.Resampling.NEAREST))
        rows["original"].append(outlined(original_HWC, hole_HW))
        rows["masked"].append(masked(original_HWC, hole_HW))
        rows["result"].append(fitted(result_FHWC[frame], cell))
    lines = [PictureRow(label, pictures, ACCENT if label == "result" else INK) for label, pictures in rows.items()]
    heads = [f"frame {frame}" for frame in (chosen if numbers is None else numbers)]
    return grid(lines, left=_SHEET_LEFT, heads=heads, title=title, font_size=_SHEET_FONT)


class PictureRow(NamedTuple):
    """A row of a `grid`: equally large pictures uint8 HWC, or none, for a heading."""

    label: str
    pictures: Sequence[np.ndarray] = ()
    colour: Colour = INK


def grid(
    rows: Sequence[PictureRow],
    *,
    left: int = 0,
    above: int = 0,
    heads: Sequence[str] = (),
    title: str = "",
    gap: int = _GAP,
    margin: int = _MARGIN,
    font_size: int = 16,
    paper: Colour = PAPER,
) -> Image.Image:
    """Rows of equally large pictures, each with its label left of it or above it.

    Args:
      rows: at least one with a picture; short ones leave paper.
      left: pixels for labels left of the pictures; 0 for labels above them.
      above: pixels for labels above the pictures, where they stand there.
      heads: what stands above each column.
      title: one line above everything, shortened to fit.
      gap: pixels between the pictures.
      margin: pixels around them.
      font_size: of labels and heads.
      paper: colour behind everything.
    """
    height, width = next(row.pictures[0] for row in rows if row.pictures).shape[:2]
    columns = max(len(row.pictures) for row in rows)
    title_font, font = (ImageFont.load_default(size=size) for size in (font_size * 11 / 8, font_size))
    bar, title_bar, head_bar = font_size + 18, font_size * 11 // 4, font_size + 12
    top = margin + (title_bar if title else 0) + (head_bar if heads else 0)
    lines = sum(above + height + gap if row.pictures else bar for row in rows)
    size = margin + left + columns * (width + gap) - gap + margin, top + lines - gap + margin
    sheet = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(sheet)
    if title:
        text = _shortened(title, title_font, size[0] - 2 * margin)
        draw.text((margin, margin + title_bar // 2 - 12), text, fill=INK, font=title_font, anchor="lm")
    for column, head in enumerate(heads):
        middle = margin + left + column * (width + gap) + width // 2
        draw.text((middle, top - head_bar // 2), head, fill=FAINT, font=font, anchor="mm")
    for row in rows:
        middle = top + (above if above else height if row.pictures else bar) // 2
        draw.text((margin, middle), row.label, fill=row.colour, font=font, anchor="lm")
        if not row.pictures:
            top += bar
            continue
        for column, picture_HWC in enumerate(row.pictures):
            sheet.paste(Image.fromarray(picture_HWC), (margin + left + column * (width + gap), top + above))
        top += above + height + gap
    return sheet


def masked(frame_HWC: np.ndarray, hole_HW: np.ndarray) -> np.ndarray:
    """The frame with its hole hatched in two greys, diagonal, 8 pixels wide."""
    rows_H1, columns_1W = np.ogrid[: hole_HW.shape[0], : hole_HW.shape[1]]
    hatch_HWC = _HATCH[(rows_H1 + columns_1W) // 8 % 2]
    return np.where(hole_HW[:, :, None], hatch_HWC, frame_HWC)


def outlined(frame_HWC: np.ndarray, hole_HW: np.ndarray, thickness: int = 2) -> np.ndarray:
    """The frame with a coloured line around its hole, just outside of it, edged dark to stand out on any picture."""
    line_HW = dilate(hole_HW[None], thickness)[0]
    edge_HW = dilate(line_HW[None], 1)[0]
    out_HWC = frame_HWC.copy()
    out_HWC[edge_HW & ~line_HW] = PAPER
    out_HWC[line_HW & ~hole_HW] = ACCENT
    return out_HWC


def fitted(frame_HWC: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The frame at another size, (width, height), antialiased."""
    return np.asarray(Image.fromarray(frame_HWC).resize(size, Image.Resampling.BICUBIC))


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + " …") > width:
        text = text[:-1]
    return text.rstrip() + " …"
