"""Curves of a page as inline SVG: lines over frames and bars over windows, with labels in HTML that keep their size.

The drawing is stretched to its place, so it holds lines only; text stands around it. The script of the page moves a
mark along every plot of frames.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_WIDTH, _HEIGHT = 1000, 100
"""Units of the drawing."""
_POINTS = 1500
"""Most points of a line; of more frames, each point is the largest of several."""


class Line(NamedTuple):
    """Values by frame, None where there is none, and a CSS class for its colour."""

    values: Sequence[float | None]
    look: str = "line"


def curve(
    title: str, unit: str, lines: Sequence[Line], *, seams: Sequence[tuple[int, int]] = (), from_zero: bool = True
) -> str:
    """A plot of lines over frames; "" if there is nothing to draw.

    Args:
      title: above the plot.
      unit: of the values, behind the title.
      lines: of equal length.
      seams: first and last frame of each, drawn as bands.
      from_zero: the lowest value of the plot is 0; otherwise the plot spans the values, at least 10 units.
    """
    known = [value for line in lines for value in line.values if value is not None and math.isfinite(value)]
    frames = max((len(line.values) for line in lines), default=0)
    if len(known) < 2 or frames < 2:
        return ""
    low, high = _range(known, from_zero)
    bands = "".join(_band(first, last, frames) for first, last in seams)
    paths = "".join(
        f'<path class="{html.escape(line.look)}" d="{_path(line.values, low, high)}"></path>' for line in lines
    )
    ends = f"<span>frame 0</span><span>frame {frames - 1}</span>"
    return _figure(title, unit, bands + paths, (low, high), ends, frames)


def bars(title: str, unit: str, values: Sequence[float | None], each: str = "window") -> str:
    """A plot of bars, one for each window or seam; "" if there is nothing to draw."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = _range(known, True)
    step = _WIDTH / len(values)
    shapes = "".join(
        f'<rect class="bar" x="{_short(step * (k + 0.1))}" width="{_short(step * 0.8)}" '
        f'y="{_short(_HEIGHT * (1 - value / high))}" height="{_short(_HEIGHT * value / high)}"></rect>'
        for k, value in enumerate(values)
        if value is not None
    )
    return _figure(title, unit, shapes, (low, high), f"<span>{each} 1</span><span>{each} {len(values)}</span>", 0)


def _figure(title: str, unit: str, shapes: str, span: tuple[float, float], ends: str, frames: int) -> str:
    moving = f' data-frames="{frames}"' if frames else ""
    mark = '<i class="now"></i>' if frames else ""
    return (
        f'<figure class="plot"{moving}><figcaption>{html.escape(title)} <small>{html.escape(unit)}</small></figcaption>'
        f'<div class="values"><span>{_label(span[1])}</span><span>{_label(span[0])}</span></div><div class="area">'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(title)}">{shapes}</svg>{mark}</div><div class="ends">{ends}</div></figure>'
    )


def _range(known: Sequence[float], from_zero: bool) -> tuple[float, float]:
    low, high = min(known), max(known)
    if from_zero:
        return 0.0, high * 1.05 or 1.0
    middle, half = (low + high) / 2, max((high - low) * 0.55, 5.0)
    return middle - half, middle + half


def _band(first: int, last: int, frames: int) -> str:
    unit = _WIDTH / (frames - 1)
    left, right = max(0.0, (first - 0.5) * unit), min(float(_WIDTH), (last + 0.5) * unit)
    return f'<rect class="seam" x="{_short(left)}" width="{_short(right - left)}" y="0" height="{_HEIGHT}"></rect>'


def _path(values: Sequence[float | None], low: float, high: float) -> str:
    """Moves and lines; a gap where a value is missing."""
    parts, pen_down = [], False
    for place, value in _thinned(values):
        if value is None:
            pen_down = False
            continue
        x = _WIDTH * place / (len(values) - 1)
        y = _HEIGHT * (1 - (value - low) / (high - low))
        parts.append(f"{'L' if pen_down else 'M'}{_short(x)} {_short(y)}" + ("" if pen_down else "h0"))
        pen_down = True
    return "".join(parts)


def _thinned(values: Sequence[float | None]) -> list[tuple[int, float | None]]:
    """Places and values; the largest of neighbours where there are too many."""
    step = -(-len(values) // _POINTS)
    out: list[tuple[int, float | None]] = []
    for start in range(0, len(values), step):
        known = [value for value in values[start : start + step] if value is not None and not np.isnan(value)]
        out.append((start, max(known) if known else None))
    return out


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _label(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 or value == 0 else f"{value:.2g}"
