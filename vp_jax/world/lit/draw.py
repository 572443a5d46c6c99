"""The lit look: a background with structure, and things that are shaded by a light and throw soft shadows.

From back to front, each thing first darkens what has been drawn, by its shadow, and then covers it. Both are exact: the
light does not depend on other things, and a shadow ends at a stated distance, so that `Rendered.reach` holds every
pixel that depends on a thing. All frames of a clip are drawn at once, each thing in a rectangle around it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vp_jax.world.lit.arithmetic import on_grid, soft_step, wave
from vp_jax.world.lit.grounds import draw_ground
from vp_jax.world.lit.outlines import LIT_DISTANCES
from vp_jax.world.lit.palette import LIT_RGB, SHADOW
from vp_jax.world.rendered import Rendered
from vp_jax.world.scene import Scene, Thing, pose

LIFT, BLUR, DARK = 0.075, 0.10, 0.85
"""Shadows: distance from the thing and width of the edge, in frame heights, and the opacity."""
_ELEVATION = 0.8
"""Third component of the direction of the light."""
_BEVEL = 0.5
"""Width of the round rim of a thing, in radii."""
_PIXELS = 2**18
"""Pixels that are drawn at once: more need more memory, and fewer more time for small pictures."""
_FAINT = 1 / 64
"""Less coverage than this counts as none: it would change no colour."""


class _Stage(NamedTuple):
    """What is drawn on.

    Attributes:
      canvas_CFHW: float32 colours, 0 to 255.
      labels_FHW, touched_FHW, reached_FHW: see `Rendered`.
    """

    canvas_CFHW: np.ndarray
    labels_FHW: np.ndarray
    touched_FHW: np.ndarray
    reached_FHW: np.ndarray


class _Lamp(NamedTuple):
    """Direction towards the light in the picture, of length 1, and its strength at each time."""

    x: float
    y: float
    gain_F: np.ndarray


class _Placed(NamedTuple):
    """A thing where it is at each time, rounded to a grid; lengths in frame heights."""

    thing: Thing
    x_F: np.ndarray
    y_F: np.ndarray
    cos_F: np.ndarray
    sin_F: np.ndarray
    wide_F: np.ndarray
    tall_F: np.ndarray

    @property
    def size(self) -> float:
        """Radius of a disc around it at all times."""
        return self.thing.radius * float(max(self.wide_F.max(), self.tall_F.max()))

    @property
    def scale_F(self) -> np.ndarray:
        """Frame heights per unit of the distance to its outline."""
        scale_F: np.ndarray = self.thing.radius * np.sqrt(self.wide_F * self.tall_F)
        return scale_F


class _Box(NamedTuple):
    """A rectangle of ``rows`` x ``columns`` pixels in each frame, all within the picture."""

    top_F: np.ndarray
    left_F: np.ndarray
    rows: int
    columns: int


def draw_lit(scene: Scene, times_F: np.ndarray, height: int, width: int) -> Rendered:
    """Draw a scene; the arguments are those of `vp_jax.world.looks.render`."""
    times_F = np.asarray(times_F, np.float64)
    at_once = max(1, _PIXELS // (height * width))
    parts = [_draw(scene, times_F[start : start + at_once], height, width) for start in range(0, len(times_F), at_once)]
    frames_FHWC, *maps = (np.concatenate(arrays) for arrays in zip(*parts))
    return Rendered(frames_FHWC, *maps)


def _draw(
    scene: Scene, times_F: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The attributes of `Rendered` for some of the frames."""
    x_W = (np.arange(width) + 0.5 - width / 2) / height
    y_H = (np.arange(height) + 0.5 - height / 2) / height
    light = scene.light
    canvas_CFHW = draw_ground(scene.ground, light, times_F, x_W, y_H)
    lamp = _Lamp(
        float(on_grid(math.cos(light.angle))),
        float(on_grid(math.sin(light.angle))),
        1 + on_grid(light.swing * np.sin(2 * math.pi * times_F / light.period)),
    )
    falloff_HW = 1 + 0.10 * (lamp.y * y_H[:, None] + lamp.x * x_W[None, :])
    canvas_CFHW *= (lamp.gain_F[:, None, None] * falloff_HW).astype(np.float32)
    labels_FHW = np.zeros(canvas_CFHW.shape[1:], np.uint8)
    stage = _Stage(canvas_CFHW, labels_FHW, np.zeros_like(labels_FHW), np.zeros_like(labels_FHW))
    for index, thing in enumerate(scene.things):
        placed = _place(thing, times_F)
        _draw_shadow(stage, index, placed, lamp)
        _draw_thing(stage, index, placed, lamp)
    np.clip(canvas_CFHW, 0, 255, out=canvas_CFHW)
    canvas_CFHW += 0.5
    return canvas_CFHW.transpose(1, 2, 3, 0).astype(np.uint8), *stage[1:]


def _place(thing: Thing, times_F: np.ndarray) -> _Placed:
    path = pose(thing, times_F)
    values = (path.x_F, path.y_F, np.cos(path.angle_F), np.sin(path.angle_F), path.wide_F, path.tall_F)
    return _Placed(thing, *(on_grid(value_F) for value_F in values))


def _box_around(x_F: np.ndarray, y_F: np.ndarray, reach: float, height: int, width: int) -> _Box:
    """The rectangle of all pixels within ``reach`` of a point."""
    side = 2 * math.ceil(reach * height) + 3
    rows, columns = min(height, side), min(width, side)
    top_F = np.clip(np.rint((y_F + 0.5) * height - rows / 2), 0, height - rows).astype(int)
    left_F = np.clip(np.rint(x_F * height + width / 2 - columns / 2), 0, width - columns).astype(int)
    return _Box(top_F, left_F, rows, columns)


def _offsets(box: _Box, placed: _Placed, height: int, width: int, finer: int, rim: int) -> tuple[np.ndarray, ...]:
    """Columns (F, c) and rows (F, r) relative to a thing, in frame heights, float32.

    Args:
      box: the rectangle.
      placed: the thing.
      height: of the picture.
      width: of the picture.
      finer: samples per pixel along each axis.
      rim: pixels around the rectangle.
    """
    column_c = (np.arange(-rim * finer, (box.columns + rim) * finer) + 0.5) / finer
    row_r = (np.arange(-rim * finer, (box.rows + rim) * finer) + 0.5) / finer
    x_Fc = (box.left_F[:, None] + column_c - width / 2) / height - placed.x_F[:, None]
    y_Fr = (box.top_F[:, None] + row_r - height / 2) / height - placed.y_F[:, None]
    return x_Fc.astype(np.float32), y_Fr.astype(np.float32)


def _own_axes(placed: _Placed, x_Fc: np.ndarray, y_Fr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (F, r, c) along the axes of a thing, in units of its radius."""

    def along(cos_F: np.ndarray, sin_F: np.ndarray, scale_F: np.ndarray) -> np.ndarray:
        scale_F = scale_F * placed.thing.radius
        right_Fc = x_Fc * (cos_F / scale_F).astype(np.float32)[:, None]
        down_Fr = y_Fr * (sin_F / scale_F).astype(np.float32)[:, None]
        result: np.ndarray = right_Fc[:, None, :] + down_Fr[:, :, None]
        return result

    return along(placed.cos_F, placed.sin_F, placed.wide_F), along(-placed.sin_F, placed.cos_F, placed.tall_F)


def _draw_shadow(stage: _Stage, index: int, placed: _Placed, lamp: _Lamp) -> None:
    """Darken what has been drawn where the thing keeps light away."""
    height, width = stage.canvas_CFHW.shape[2:]
    fallen = placed._replace(x_F=placed.x_F - LIFT * lamp.x, y_F=placed.y_F - LIFT * lamp.y)
    box = _box_around(fallen.x_F, fallen.y_F, placed.size + BLUR / 2, height, width)
    axes = _own_axes(fallen, *_offsets(box, fallen, height, width, 1, 0))
    distance_Frc = LIT_DISTANCES[placed.thing.shape](*axes)
    distance_Frc *= (placed.scale_F / BLUR).astype(np.float32)[:, None, None]
    dark_Frc = soft_step(np.float32(0.5) - distance_Frc) * np.float32(DARK)
    dark_Frc[dark_Frc < _FAINT] = 0
    left_CFrc = 1 - dark_Frc * np.array([1 - left for left in SHADOW], np.float32)[:, None, None, None]
    bit = np.uint8(1 << index)
    for frame, (top, left) in enumerate(zip(box.top_F, box.left_F)):
        part = (slice(top, top + box.rows), slice(left, left + box.columns))
        canvas = stage.canvas_CFHW[:, frame, part[0], part[1]]
        canvas *= left_CFrc[:, frame]
        stage.reached_FHW[frame][part] |= (dark_Frc[frame] > 0) * bit


def _draw_thing(stage: _Stage, index: int, placed: _Placed, lamp: _Lamp) -> None:
    """Draw a thing in front of what has been drawn."""
    height, width = stage.canvas_CFHW.shape[2:]
    box = _box_around(placed.x_F, placed.y_F, placed.size, height, width)
    step = _slope_step(height)
    distance_Frc = LIT_DISTANCES[placed.thing.shape](*_own_axes(placed, *_offsets(box, placed, height, width, 2, step)))
    pixels_F = (placed.scale_F * (2 * height)).astype(np.float32)
    inner = (slice(None), slice(2 * step, -2 * step), slice(2 * step, -2 * step))
    cover_Frc = _pooled(np.clip(0.5 - distance_Frc[inner] * pixels_F[:, None, None], 0, 1))
    cover_Frc[cover_Frc < _FAINT] = 0
    cover_Frc[cover_Frc > 1 - _FAINT] = 1
    paint_CFrc = _painted(placed, box, _pooled(distance_Frc), height, width, lamp)
    np.clip(paint_CFrc, 0, 255, out=paint_CFrc)
    paint_CFrc *= cover_Frc
    left_Frc = 1 - cover_Frc
    bit = np.uint8(1 << index)
    for frame, (top, left) in enumerate(zip(box.top_F, box.left_F)):
        part = (slice(top, top + box.rows), slice(left, left + box.columns))
        canvas = stage.canvas_CFHW[:, frame, part[0], part[1]]
        canvas *= left_Frc[frame]
        canvas += paint_CFrc[:, frame]
        stage.labels_FHW[frame][part][cover_Frc[frame] > 0.5] = index + 1
        for bits_FHW in (stage.touched_FHW, stage.reached_FHW):
            seen = bits_FHW[frame][part]
            seen *= left_Frc[frame] > 0
            seen |= (cover_Frc[frame] > 0) * bit


def _slope_step(height: int) -> int:
    """Pixels to each side over which the slope of a surface is measured: the same part of the picture at every size."""
    return max(1, round(height / 64))


def _pooled(x_Frc: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 samples."""
    rows = x_Frc[:, ::2] + x_Frc[:, 1::2]
    result: np.ndarray = (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)
    return result


def _painted(
    placed: _Placed,
    box: _Box,
    distance_Frc: np.ndarray,
    height: int,
    width: int,
    lamp: _Lamp,
) -> np.ndarray:
    """Colours (3, F, r, c) of a thing with a round rim, from the distance with `_slope_step` more pixels all around."""
    thing = placed.thing
    x_Fc, y_Fr = _offsets(box, placed, height, width, 1, 0)
    towards_Frc = (x_Fc * np.float32(lamp.x / thing.radius))[:, None, :] + (y_Fr * np.float32(lamp.y / thing.radius))[
        :, :, None
    ]
    step = _slope_step(height)
    slope_F11 = (placed.scale_F * height / (2 * step)).astype(np.float32)[:, None, None]
    middle = slice(step, -step)
    right_Frc = (distance_Frc[:, middle, 2 * step :] - distance_Frc[:, middle, : -2 * step]) * slope_F11
    down_Frc = (distance_Frc[:, 2 * step :, middle] - distance_Frc[:, : -2 * step, middle]) * slope_F11
    rim_Frc = 1 - np.clip(distance_Frc[:, middle, middle] * np.float32(-1 / _BEVEL), 0, 1)
    rim_Frc *= rim_Frc * np.float32(0.92)
    right_Frc, down_Frc = right_Frc * rim_Frc, down_Frc * rim_Frc
    up_Frc = np.sqrt(np.maximum(1 - right_Frc * right_Frc - down_Frc * down_Frc, 0))
    flat = math.sqrt(1 - _ELEVATION**2)
    facing_Frc = (right_Frc * np.float32(lamp.x) + down_Frc * np.float32(lamp.y)) * np.float32(flat)
    lit_Frc = np.maximum(facing_Frc + up_Frc * np.float32(_ELEVATION), 0)
    shade_Frc = np.float32(0.58) + np.float32(0.52) * lit_Frc + np.float32(0.10) * towards_Frc
    # half way between the light and the viewer
    long = math.sqrt(2 + 2 * _ELEVATION)
    shine_Frc = (facing_Frc + up_Frc * np.float32(1 + _ELEVATION)) * np.float32(1 / long)
    for _ in range(6):
        shine_Frc = shine_Frc * shine_Frc
    shine_Frc *= np.float32(110)
    second_Frc = _pattern(thing, *_own_axes(placed, x_Fc, y_Fr), pixel=1 / (thing.radius * height))
    colour = np.array(LIT_RGB[thing.colour], np.float32)
    change = np.float32(0.36) * (np.array([255, 250, 238], np.float32) - colour)
    paint_CFrc = np.stack([(colour[c] + second_Frc * change[c]) * shade_Frc + shine_Frc for c in range(3)])
    paint_CFrc *= lamp.gain_F.astype(np.float32)[:, None, None]
    return paint_CFrc


def _pattern(thing: Thing, x_Frc: np.ndarray, y_Frc: np.ndarray, pixel: float) -> np.ndarray:
    """Amount of the second colour in [0, 1]; the pattern moves with the thing, and its edges are a pixel wide."""
    if thing.pattern == "plain":
        return np.zeros((1, 1, 1), np.float32)
    period = 0.17 / thing.radius
    sharp = np.float32(1 / max(pixel, 0.04))
    if thing.pattern == "striped":
        turns_Frc = (np.float32(0.6) * x_Frc + np.float32(0.8) * y_Frc) * np.float32(1 / period)
        return soft_step(wave(turns_Frc) * (sharp * np.float32(period / 6)) + np.float32(0.5))
    size = np.float32(1.35 * period)
    across_Frc, down_Frc = ((x_Frc + sign * y_Frc) / size for sign in (1, -1))
    across_Frc, down_Frc = (part - np.floor(part) - np.float32(0.5) for part in (across_Frc, down_Frc))
    far_Frc = np.sqrt(across_Frc * across_Frc + down_Frc * down_Frc) * size * np.float32(math.sqrt(0.5))
    return soft_step((np.float32(0.25 * period) - far_Frc) * sharp + np.float32(0.5))
