"""Pictures for people: a four-panel comparison video and a contact sheet, drawn with Pillow alone.

::

    comparison, every frame                       contact sheet, up to 8 frames
    +----------+--------+------+--------+                    frame 0   frame 11  ...
    | original | masked | mask | result |         original   [     ]   [     ]        hole outlined
    +----------+--------+------+--------+         masked     [ ▨   ]   [ ▨   ]        hole hatched
                                                  result     [     ]   [     ]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vp_jax.media.masks import dilate

PANELS = ("original", "masked", "mask", "result")
ROWS = ("original", "masked", "result")

_PAPER, _INK, _FAINT = (22, 24, 29), (236, 238, 242), (150, 156, 168)
_ACCENT = (255, 122, 61)
_HATCH = np.array([(112, 115, 122), (134, 137, 145)], np.uint8)
_MAX_PANEL, _SHEET_CELL = 640, 300
_SMALL = 128  # pixels; panels of narrower videos are enlarged, to be seen at all
_GAP, _MARGIN = 8, 24


def comparison_frames(
    original_FHWC: np.ndarray, holes_FHW: np.ndarray, result_FHWC: Sequence[np.ndarray] | np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the frames of the comparison video: four labelled panels side by side, even height and width.

    Args:
      original_FHWC, result_FHWC: uint8 RGB of one shape.
      holes_FHW: bool, True = generated.

    Yields:
      uint8 HWC; panels wider than 640 pixels are reduced, those of videos up to 128 wide are four times as large.
    """
    times = 4 if original_FHWC.shape[2] <= _SMALL else 1
    height, width = (times * side for side in original_FHWC.shape[1:3])
    scale = min(1.0, _MAX_PANEL / width)
    panel = (max(1, round(width * scale)), max(1, round(height * scale)))
    font_size = max(10, min(18, panel[0] // 20))
    font, bar = ImageFont.load_default(size=font_size), round(font_size * 1.8)
    size = (4 * panel[0] + 3 * _GAP, bar + panel[1])
    canvas = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, label in enumerate(PANELS):
        middle = column * (panel[0] + _GAP) + panel[0] // 2
        draw.text((middle, bar // 2), label, fill=_ACCENT if label == "result" else _INK, font=font, anchor="mm")
    for three in zip(original_FHWC, holes_FHW, result_FHWC):
        original_HWC, hole_HW, result_HWC = (x.repeat(times, axis=0).repeat(times, axis=1) for x in three)
        grey_HWC = np.repeat(hole_HW[:, :, None], 3, axis=2).astype(np.uint8) * 255
        for column, picture_HWC in enumerate((original_HWC, masked(original_HWC, hole_HW), grey_HWC, result_HWC)):
            image = Image.fromarray(picture_HWC)
            if image.size != panel:
                image = image.resize(panel, Image.Resampling.BOX if column == 2 else Image.Resampling.BICUBIC)
            canvas.paste(image, (column * (panel[0] + _GAP), bar))
        yield np.array(canvas)


def contact_sheet(
    original_FHWC: np.ndarray,
    holes_FHW: np.ndarray,
    result_FHWC: Sequence[np.ndarray] | np.ndarray,
    *,
    title: str = "",
    columns: int = 8,
) -> Image.Image:
    """One picture of a run: original, masked and result at evenly spaced frames, first and last among them.

    Args:
      original_FHWC, result_FHWC: uint8 RGB of one shape.
      holes_FHW: bool; the hole is outlined in the first row and hatched in the second; the result is left bare.
      title: one line above the pictures (the prompt), shortened to fit.
      columns: most frames to show.
    """
    frames, height, width = holes_FHW.shape
    chosen = np.unique(np.linspace(0, frames - 1, min(columns, frames)).round().astype(int))
    scale = _SHEET_CELL / max(height, width)
    cell = (max(1, round(width * scale)), max(1, round(height * scale)))
    title_font, font = ImageFont.load_default(size=22), ImageFont.load_default(size=16)
    left, top = _MARGIN + 92, _MARGIN + (44 if title else 0) + 28
    size = (
        left + len(chosen) * (cell[0] + _GAP) - _GAP + _MARGIN,
        top + len(ROWS) * (cell[1] + _GAP) - _GAP + _MARGIN,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        text = _shortened(title, title_font, size[0] - 2 * _MARGIN)
        draw.text((_MARGIN, _MARGIN + 10), text, fill=_INK, font=title_font, anchor="lm")
    for row, label in enumerate(ROWS):
        middle = top + row * (cell[1] + _GAP) + cell[1] // 2
        draw.text((_MARGIN, middle), label, fill=_ACCENT if label == "result" else _INK, font=font, anchor="lm")
    for column, frame in enumerate(chosen):
        x = left + column * (cell[0] + _GAP)
        draw.text((x + cell[0] // 2, top - 14), f"frame {frame}", fill=_FAINT, font=font, anchor="mm")
        hole_HW = np.asarray(Image.fromarray(holes_FHW[frame]).resize(cell, Image.Resampling.NEAREST))
        pictures = [_fitted(original_FHWC[frame], cell), _fitted(original_FHWC[frame], cell)]
        pictures = [outlined(pictures[0], hole_HW), masked(pictures[1], hole_HW), _fitted(result_FHWC[frame], cell)]
        for row, picture_HWC in enumerate(pictures):
            sheet.paste(Image.fromarray(picture_HWC), (x, top + row * (cell[1] + _GAP)))
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
    out_HWC[edge_HW & ~line_HW] = _PAPER
    out_HWC[line_HW & ~hole_HW] = _ACCENT
    return out_HWC


def _fitted(frame_HWC: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(frame_HWC).resize(size, Image.Resampling.BICUBIC))


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + " …") > width:
        text = text[:-1]
    return text.rstrip() + " …"
