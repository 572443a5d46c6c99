"""Backgrounds of the lit look: hills, tiles, planks, bricks, and checks, a chequered plane seen at a slant.

Each is a function of the camera's coordinates, which continue without end in all directions: what a thing hides
follows from what surrounds it. Joints and edges are averaged over a pixel exactly, so that a larger picture shows the
same in more detail. Colours are float32 in CFHW, 0 to 255; surfaces differ by tones from a table that the seed fills.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vp_jax.world.lit.arithmetic import line_cover, on_grid, soft_step, wave
from vp_jax.world.lit.palette import LIT_GROUND_RGB, SUN, GroundColours, Rgb
from vp_jax.world.scene import Ground, Light

_TABLE = 64


class _View(NamedTuple):
    """What the camera sees, and in which light; float64 unless stated.

    Attributes:
      x_W, y_H: columns and rows of the picture, in frame heights from its middle.
      zoom_F: size of a frame height on the background.
      pan_x_F, pan_y_F: place of the camera on the background.
      light_x, light_y: direction towards the light in the picture.
      tones: random numbers from 0 to 1 for surfaces, (64, 64) float32.
      rng: further random numbers of the background.
    """

    x_W: np.ndarray
    y_H: np.ndarray
    zoom_F: np.ndarray
    pan_x_F: np.ndarray
    pan_y_F: np.ndarray
    light_x: float
    light_y: float
    tones: np.ndarray
    rng: np.random.Generator

    @property
    def u_FW(self) -> np.ndarray:
        """Coordinate of each column on the background."""
        u_FW: np.ndarray = self.x_W * self.zoom_F[:, None] + self.pan_x_F[:, None]
        return u_FW

    @property
    def v_FH(self) -> np.ndarray:
        """Coordinate of each row on the background."""
        v_FH: np.ndarray = self.y_H * self.zoom_F[:, None] + self.pan_y_F[:, None]
        return v_FH

    @property
    def pixel_F1(self) -> np.ndarray:
        """Width of a pixel on the background."""
        return self.zoom_F[:, None] / len(self.y_H)


def draw_ground(ground: Ground, light: Light, times_F: np.ndarray, x_W: np.ndarray, y_H: np.ndarray) -> np.ndarray:
    """The background before light falls off and shadows fall on it.

    Args:
      ground: the background.
      light: its direction shows at the edges of surfaces.
      times_F: times in frames.
      x_W: columns in frame heights, float64.
      y_H: rows in frame heights, float64.

    Returns:
      Colours CFHW float32, 0 to 255.
    """
    rng = np.random.default_rng([7012, ground.seed])
    view = _View(
        x_W,
        y_H,
        on_grid(1 + ground.zoom * np.sin(2 * math.pi * times_F / ground.zoom_period)),
        on_grid(ground.pan_x * times_F),
        on_grid(ground.pan_y * times_F),
        float(on_grid(math.cos(light.angle))),
        float(on_grid(math.sin(light.angle))),
        rng.random((_TABLE, _TABLE), np.float32),
        rng,
    )
    return _KINDS[ground.kind](view, LIT_GROUND_RGB[ground.colour])


def _tones(view: _View, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Random numbers of surfaces by their column and row, which are whole numbers of any sign."""
    tones: np.ndarray = view.tones[row.astype(np.int64) % _TABLE, column.astype(np.int64) % _TABLE]
    return tones


def _mixed(start: Rgb, end: Rgb, part_FHW: np.ndarray) -> np.ndarray:
    """Colours CFHW between two."""
    canvas_CFHW = np.empty((3, *part_FHW.shape), np.float32)
    for channel in range(3):
        np.multiply(part_FHW, np.float32(end[channel] - start[channel]), out=canvas_CFHW[channel])
        canvas_CFHW[channel] += np.float32(start[channel])
    return canvas_CFHW


def _lay(canvas_CFHW: np.ndarray, colour: Rgb, cover_FHW: np.ndarray) -> None:
    """Lay a colour over what has been drawn."""
    left_FHW = 1 - cover_FHW
    for channel in range(3):
        canvas_CFHW[channel] *= left_FHW
        canvas_CFHW[channel] += cover_FHW * np.float32(colour[channel])


def _both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Coverage by either of two independent layers."""
    result: np.ndarray = a + b - a * b
    return result


def _edges(x: np.ndarray, joint: float, pixel: np.ndarray, towards: float) -> np.ndarray:
    """Brightness of bevelled edges across one axis: bright where they face the light, dark where they do not."""
    width = 0.09
    result: np.ndarray = line_cover(x - joint, width, pixel) - line_cover(x + width, width, pixel)
    return (-towards * result).astype(np.float32)


def _tiles(view: _View, colours: GroundColours) -> np.ndarray:
    """Square tiles in a grid, with bevelled edges."""
    period, joint = float(on_grid(view.rng.uniform(0.2, 0.27))), 0.075
    x_FW, y_FH, pixel_F1 = view.u_FW / period, view.v_FH / period, view.pixel_F1 / period
    column_FW, row_FH = np.floor(x_FW), np.floor(y_FH)
    tone_FHW = _tones(view, column_FW[:, None, :], row_FH[:, :, None])
    accent_FHW = ((column_FW[:, None, :] + row_FH[:, :, None]) % 2).astype(np.float32)
    canvas_CFHW = _mixed(colours.light, colours.dark, 0.30 * tone_FHW + 0.55 * accent_FHW)
    bevel_FHW = (
        _edges(x_FW, joint, pixel_F1, view.light_x)[:, None, :]
        + _edges(y_FH, joint, pixel_F1, view.light_y)[:, :, None]
    )
    canvas_CFHW *= 1 + np.float32(0.11) * bevel_FHW
    across_FW = line_cover(x_FW, joint, pixel_F1).astype(np.float32)
    down_FH = line_cover(y_FH, joint, pixel_F1).astype(np.float32)
    _lay(canvas_CFHW, colours.joint, _both(across_FW[:, None, :], down_FH[:, :, None]))
    return canvas_CFHW


def _bricks(view: _View, colours: GroundColours) -> np.ndarray:
    """Bricks in rows, each shifted by half a brick against the next."""
    height = float(on_grid(view.rng.uniform(0.115, 0.145)))
    length, joint = 2.1 * height, 0.13
    y_FH, high_F1 = view.v_FH / height, view.pixel_F1 / height
    wide_F1 = view.pixel_F1 / length
    row_FH = np.floor(y_FH)
    odd_FH1 = (row_FH % 2 > 0)[:, :, None]
    both_FW = view.u_FW / length, view.u_FW / length + 0.5
    column_FHW = np.where(odd_FH1, *(np.floor(x_FW)[:, None, :] for x_FW in reversed(both_FW)))
    tone_FHW = _tones(view, column_FHW, row_FH[:, :, None])
    canvas_CFHW = _mixed(colours.light, colours.dark, np.float32(0.15) + np.float32(0.85) * tone_FHW)
    short = joint * height / length
    edge_FHW = np.where(
        odd_FH1, *(_edges(x_FW, short, wide_F1, view.light_x)[:, None, :] for x_FW in reversed(both_FW))
    )
    bevel_FHW = edge_FHW + _edges(y_FH, joint, high_F1, view.light_y)[:, :, None]
    canvas_CFHW *= 1 + np.float32(0.09) * bevel_FHW
    upright_FHW = np.where(
        odd_FH1, *(line_cover(x_FW, short, wide_F1).astype(np.float32)[:, None, :] for x_FW in reversed(both_FW))
    )
    level_FH = line_cover(y_FH, joint, high_F1).astype(np.float32)
    _lay(canvas_CFHW, colours.joint, _both(upright_FHW, level_FH[:, :, None]))
    return canvas_CFHW


def _planks(view: _View, colours: GroundColours) -> np.ndarray:
    """Boards of wood with grain along them, and joints at a place of its own in every board."""
    height = float(on_grid(view.rng.uniform(0.16, 0.21)))
    length, gap = 6.5 * height, 0.07
    y_FH, high_F1 = view.v_FH / height, view.pixel_F1 / height
    row_FH = np.floor(y_FH)
    start_FH = _tones(view, np.full_like(row_FH, 5), row_FH).astype(np.float64)
    x_FHW = (view.u_FW / length)[:, None, :] + start_FH[:, :, None]
    board_FHW = np.floor(x_FHW)
    tone_FHW = _tones(view, board_FHW, row_FH[:, :, None])
    along_FHW, across_FH = x_FHW.astype(np.float32), (y_FH - row_FH).astype(np.float32)
    bend_FHW = wave(np.float32(1.2) * along_FHW + np.float32(3) * tone_FHW)
    rings_FHW = wave(np.float32(1.3) * across_FH[:, :, None] + np.float32(0.34) * bend_FHW + np.float32(7) * tone_FHW)
    fine_FHW = wave(np.float32(3.2) * across_FH[:, :, None] - np.float32(0.5) * bend_FHW + np.float32(11) * tone_FHW)
    part_FHW = np.float32(0.18) + np.float32(0.62) * tone_FHW
    canvas_CFHW = _mixed(
        colours.light, colours.dark, part_FHW + np.float32(0.13) * rings_FHW + np.float32(0.08) * fine_FHW
    )
    canvas_CFHW *= 1 + np.float32(0.08) * _edges(y_FH, gap, high_F1, view.light_y)[:, :, None]
    ends_FHW = line_cover(along_FHW, gap * height / length, (view.pixel_F1 / length).astype(np.float32)[:, :, None])
    gaps_FH = line_cover(y_FH, gap, high_F1).astype(np.float32)
    _lay(canvas_CFHW, colours.joint, _both(ends_FHW, gaps_FH[:, :, None]))
    return canvas_CFHW


def _checks(view: _View, colours: GroundColours) -> np.ndarray:
    """A chequered plane that leans away from the viewer: fields become smaller towards the top.

    The plane moves under a camera that stands still, so that lines which recede keep their vanishing point.
    """
    lean, period = 0.62, float(on_grid(view.rng.uniform(0.44, 0.56)))
    far_H = 1 / (1 + lean * view.y_H)
    scale_FH = view.zoom_F[:, None] * far_H / period
    x_FHW = (view.x_W * scale_FH[:, :, None] + (view.pan_x_F / period)[:, None, None]).astype(np.float32)
    y_FH = 1.25 * view.y_H * scale_FH + (view.pan_y_F / period)[:, None]
    pixel_FH = scale_FH / len(view.y_H)
    wide_FH1, high_FH = pixel_FH.astype(np.float32)[:, :, None], 1.25 * pixel_FH * far_H
    across_FHW = line_cover(x_FHW, 0.5, wide_FH1)
    down_FH1 = line_cover(y_FH, 0.5, high_FH).astype(np.float32)[:, :, None]
    field_FHW = across_FHW + down_FH1 - 2 * across_FHW * down_FH1
    tone_FHW = _tones(view, np.floor(2 * x_FHW), np.floor(2 * y_FH)[:, :, None])
    canvas_CFHW = _mixed(colours.light, colours.dark, np.float32(0.92) * field_FHW + np.float32(0.08) * tone_FHW)
    joint = 0.02
    grooves_FHW = _both(
        line_cover(2 * x_FHW, 2 * joint, 2 * wide_FH1),
        line_cover(2 * y_FH, 2 * joint, 2 * high_FH).astype(np.float32)[:, :, None],
    )
    _lay(canvas_CFHW, colours.joint, np.float32(0.6) * grooves_FHW)
    _lay(canvas_CFHW, colours.horizon, np.clip(-0.45 * view.y_H, 0, 1).astype(np.float32)[None, :, None])
    return canvas_CFHW


def _hills(view: _View, colours: GroundColours) -> np.ndarray:
    """A sky with a low sun, mountains, and two rows of hills that move the faster the nearer they are."""
    v_FH1 = view.v_FH.astype(np.float32)[:, :, None]
    glow_FHW = np.broadcast_to(soft_step(v_FH1 + np.float32(0.55)), (*view.v_FH.shape, len(view.x_W)))
    canvas_CFHW = _mixed(colours.sky, colours.horizon, glow_FHW)
    _sun(canvas_CFHW, view)
    far, near = (colours.light, colours.dark), (colours.dark, colours.joint)
    _range(canvas_CFHW, view, _Range(0.35, -0.03, True, far, 0.1, 0.12), colours.joint)
    _range(canvas_CFHW, view, _Range(0.65, 0.12, False, far, 0.6, 0.28), colours.joint)
    _range(canvas_CFHW, view, _Range(1.0, 0.3, False, near, 0.25, 0.28), colours.joint)
    return canvas_CFHW


class _Range(NamedTuple):
    """Mountains or hills.

    Attributes:
      near: speed at which they pass, 1 for that of the camera.
      level: height of their middle, in frame heights downwards.
      pointed: mountains rather than hills.
      colours: colours between which it changes downwards.
      shade: which of them the ridge has, 0 to 1.
      shadow: opacity of the shadow on what is behind, as of sheets of paper.
    """

    near: float
    level: float
    pointed: bool
    colours: tuple[Rgb, Rgb]
    shade: float
    shadow: float


def _range(canvas_CFHW: np.ndarray, view: _View, hills: _Range, shadow: Rgb) -> None:
    """Draw mountains or hills over what is behind them."""
    turns, scales = view.rng.uniform(0, 1, 2), view.rng.uniform((0.7, 1.7), (1.0, 2.3))
    slow_FW, fast_FW = (hills.near * view.u_FW * k + turn for k, turn in zip(on_grid(scales), on_grid(turns)))
    if hills.pointed:
        rise_FW = 0.15 * _peaks(1.4 * slow_FW) + 0.06 * _peaks(1.6 * fast_FW)
    else:
        rise_FW = 0.075 * wave(slow_FW) + 0.03 * wave(fast_FW)
    soft = 0.07
    first = int(np.argmax(view.v_FH.max(0, initial=1) > hills.level - 0.21 - soft))  # no rows above are covered
    canvas_CFHW = canvas_CFHW[:, :, first:]
    deep_FHW = (view.v_FH[:, first:, None] - (hills.level - rise_FW)[:, None, :]).astype(np.float32)
    _lay(canvas_CFHW, shadow, np.float32(hills.shadow) * soft_step(1 + deep_FHW * np.float32(1 / soft)))
    slope_FW = (np.roll(rise_FW, -1, 1) - np.roll(rise_FW, 1, 1)) / (2 * view.pixel_F1)
    slope_FW[:, [0, -1]] = slope_FW[:, [1, -2]]
    sharp_FW = (1 / (view.pixel_F1 * np.sqrt(1 + slope_FW * slope_FW))).astype(np.float32)
    cover_FHW = np.clip(deep_FHW * sharp_FW[:, None, :] + np.float32(0.5), 0, 1)
    part_FHW = np.clip(np.float32(hills.shade) + np.float32(1.2) * deep_FHW, 0, 1.25)
    hills_CFHW = _mixed(*hills.colours, part_FHW)
    hills_CFHW -= canvas_CFHW
    hills_CFHW *= cover_FHW
    canvas_CFHW += hills_CFHW


def _peaks(turns: np.ndarray) -> np.ndarray:
    """Straight slopes up and down, -1 to 1."""
    result: np.ndarray = 4 * np.abs(turns - np.floor(turns) - 0.5) - 1
    return result


def _sun(canvas_CFHW: np.ndarray, view: _View) -> None:
    """A disc with a glow on the side of the light, far away: it hardly moves."""
    x, y, size = view.rng.uniform((-0.12, -0.36, 0.08), (0.12, -0.2, 0.12))
    height = np.float32(len(view.y_H))
    dx_FW = view.x_W - float(on_grid(x + 0.6 * view.light_x)) + 0.15 * view.pan_x_F[:, None]
    dy_H = view.y_H - float(on_grid(y))
    far_FHW = np.sqrt(dx_FW[:, None, :] ** 2 + dy_H[None, :, None] ** 2).astype(np.float32)
    radius = float(on_grid(size))
    _lay(canvas_CFHW, SUN, np.float32(0.35) * soft_step(1 - (far_FHW - np.float32(radius)) * np.float32(1 / 0.3)))
    _lay(canvas_CFHW, SUN, np.clip((np.float32(radius) - far_FHW) * height + np.float32(0.5), 0, 1))


_KINDS: dict[str, Callable[[_View, GroundColours], np.ndarray]] = {
    "hills": _hills,
    "tiles": _tiles,
    "planks": _planks,
    "bricks": _bricks,
    "checks": _checks,
}
