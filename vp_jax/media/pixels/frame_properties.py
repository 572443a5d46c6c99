"""What PyAV does not say of a frame: its chroma site, pixel shape and fields, which FFmpeg's ``showinfo`` prints."""

from __future__ import annotations

import re
import threading
from fractions import Fraction
from typing import NamedTuple

import av
import av.filter

from vp_jax.media.pixels.pixel_format import pixel_format

_SITES = {
    "left": (0.5, 0.0),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.0, 0.5),
    "bottomleft": (1.0, 0.0),
    "bottom": (1.0, 0.5),
}
"""Places of the first chroma sample of 4:2:0 by FFmpeg's names, in luma rows and columns."""
_log = threading.Lock()


class FrameProperties(NamedTuple):
    """Chroma site, pixel shape and fields of a frame as the codec states them."""

    site: tuple[float, float]
    states_site: bool
    shape: Fraction | None
    interlaced: bool
    top_first: bool


def frame_properties(frame: av.VideoFrame) -> FrameProperties:
    """What FFmpeg's ``showinfo`` prints of a frame."""
    graph = av.filter.Graph()
    start = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    middle, end = graph.add("showinfo", "checksum=0"), graph.add("buffersink")
    start.link_to(middle)
    middle.link_to(end)
    with _log:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            with av.logging.Capture() as lines:
                graph.configure()
                graph.push(frame)
                graph.pull()
        finally:
            av.logging.set_level(level)
    text = "".join(line for _, name, line in lines if name == "showinfo")
    layout = pixel_format(frame.format.name)
    rows, columns = layout.step if layout else (1, 1)
    place = re.search(r"\bcl:(\w+)", text)
    usual = "center" if frame.format.name.startswith("yuvj") else "left"
    stated = place is not None and place[1] in _SITES
    row, column = _SITES[place[1] if place and stated else usual]
    fields = re.search(r"\bi:([PTB])", text)
    kind = fields[1] if fields else "P"
    sar = re.search(r"\bsar:(\d+)/(\d+)", text)
    shape = Fraction(int(sar[1]), int(sar[2])) if sar and int(sar[1]) and int(sar[2]) else None
    return FrameProperties((row * (rows - 1), column * (columns - 1)), stated, shape, kind != "P", kind == "T")


def site_name(site: tuple[float, float], step: tuple[int, int]) -> str | None:
    """FFmpeg's name of a chroma site of planes with this step; None if it has none."""
    for name, place in _SITES.items():
        if site == tuple(part * (pace - 1) for part, pace in zip(place, step)):
            return name
    return None
