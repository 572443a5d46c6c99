"""Colours of the lit look. Things are saturated and backgrounds are not, so that each can be told from the other."""

from __future__ import annotations

from typing import NamedTuple

Rgb = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


class GroundColours(NamedTuple):
    """Colours of a background: of its surfaces, of its joints, and of its sky above and at the horizon."""

    light: Rgb
    dark: Rgb
    joint: Rgb
    sky: Rgb
    horizon: Rgb


LIT_RGB: dict[str, Rgb] = {
    "red": (222, 48, 50),
    "orange": (246, 136, 30),
    "yellow": (250, 212, 48),
    "green": (56, 172, 78),
    "cyan": (40, 194, 216),
    "blue": (46, 92, 224),
    "purple": (132, 62, 196),
    "pink": (246, 116, 178),
}
LIT_GROUND_RGB = {
    "grey": GroundColours((206, 210, 216), (156, 163, 174), (112, 118, 130), (160, 186, 212), (244, 232, 216)),
    "cream": GroundColours((238, 226, 202), (216, 194, 158), (174, 148, 112), (164, 196, 212), (250, 232, 206)),
    "brown": GroundColours((186, 148, 116), (140, 104, 78), (88, 64, 48), (176, 190, 200), (246, 226, 200)),
    "navy": GroundColours((94, 110, 148), (60, 72, 106), (38, 46, 74), (64, 80, 120), (166, 140, 160)),
    "mint": GroundColours((210, 234, 220), (158, 200, 180), (114, 154, 136), (156, 196, 206), (248, 236, 210)),
    "lilac": GroundColours((226, 216, 240), (182, 168, 208), (136, 122, 166), (174, 180, 214), (248, 226, 220)),
}
SUN: Rgb = (255, 247, 222)
SHADOW = (0.50, 0.48, 0.56)
"""What a full shadow leaves of red, green and blue."""
