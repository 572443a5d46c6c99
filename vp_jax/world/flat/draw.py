"""The flat look: things without shadows on smooth backgrounds; a larger size gives the same picture in more detail.

All frames are drawn at once on coordinate maps. The background is a sum of sines, each a product of a function of x and
one of y, so a frame costs a small matrix product. Things are drawn from back to front, each in a rectangle around it:
its coverage of a pixel is clip(1/2 - distance in pixels, 0, 1), from the signed distance of its shape.
"""

from __future__ import annotations

import math

import numpy as np

from vp_jax.world.flat.outlines import DISTANCES
from vp_jax.world.rendered import Rendered
from vp_jax.world.scene import Ground, Light, Scene, Thing, pose

FLAT_RGB = {
    "red": (226, 42, 46),
    "orange": (250, 136, 18),
    "yellow": (252, 220, 40),
    "green": (38, 172, 66),
    "cyan": (32, 200, 222),
    "blue": (38, 84, 226),
    "purple": (136, 48, 190),
    "pink": (250, 110, 176),
}
FLAT_GROUND_RGB = {
    "grey": ((186, 190, 196), (132, 138, 148)),
    "cream": ((236, 224, 200), (200, 176, 136)),
    "brown": ((164, 134, 112), (106, 80, 64)),
    "navy": ((76, 90, 130), (42, 52, 84)),
    "mint": ((196, 222, 206), (130, 174, 150)),
    "lilac": ((210, 200, 228), (152, 138, 186)),
}
PATTERN_PERIOD = 0.2
"""Period of stripes in frame heights: a stripe has more than 6 pixels at height 64."""


def draw_flat(scene: Scene, times_F: np.ndarray, height: int, width: int) -> Rendered:
    """Draw a scene; the arguments are those of `vp_jax.world.looks.render`."""
    times_F = np.asarray(times_F, np.float64)
    x_W = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / height
    y_H = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / height
    gain_F = strength(scene.light, times_F)
    canvas_CFHW = _ground(scene.ground, scene.light, times_F, gain_F, x_W, y_H)
    labels_FHW = np.zeros(canvas_CFHW.shape[1:], np.uint8)
    touched_FHW = np.zeros_like(labels_FHW)
    for index, thing in enumerate(scene.things):
        _draw(canvas_CFHW, labels_FHW, touched_FHW, index, thing, scene.light, times_F, gain_F, x_W, y_H)
    np.clip(canvas_CFHW, 0, 255, out=canvas_CFHW)
    canvas_CFHW += 0.5
    frames_FHWC = np.empty((*labels_FHW.shape, 3), np.uint8)
    for channel in range(3):
        frames_FHWC[..., channel] = canvas_CFHW[channel]
    return Rendered(frames_FHWC, labels_FHW, touched_FHW, touched_FHW)


def strength(light: Light, times_F: np.ndarray) -> np.ndarray:
    """Brightness of the light at these times, around 1."""
    return (1 + light.swing * np.sin(2 * math.pi * times_F / light.period)).astype(np.float32)


def _soft_step(x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 at -1/2 to 1 at 1/2; overwrites ``x``."""
    x += 0.5
    np.clip(x, 0, 1, out=x)
    result: np.ndarray = x * x * (3 - 2 * x)
    return result


def _waves(rng: np.random.Generator, u_FW: np.ndarray, v_FH: np.ndarray, terms: int) -> np.ndarray:
    """Smooth noise FHW of about unit size: a sum of products of sines."""
    frequency_2J, phase_2J = rng.uniform(2.5, 8, (2, terms)), rng.uniform(0, 2 * math.pi, (2, terms))
    across_FWJ = np.sin(u_FW[..., None] * frequency_2J[0].astype(np.float32) + phase_2J[0].astype(np.float32))
    down_FHJ = np.sin(v_FH[..., None] * frequency_2J[1].astype(np.float32) + phase_2J[1].astype(np.float32))
    result: np.ndarray = np.matmul(down_FHJ, across_FWJ.transpose(0, 2, 1)) * np.float32(1.6 / math.sqrt(terms))
    return result


def _to_lattice(x: np.ndarray, period: float, offset: float) -> np.ndarray:
    """Signed distance to the nearest of equally spaced points, in periods: -1/2 to 1/2."""
    return (x * np.float32(1 / period) + np.float32(offset)) % 1 - np.float32(0.5)


def _sine_of_sum(a_FW: np.ndarray, b_FH: np.ndarray) -> np.ndarray:
    """sin(a + b) as FHW."""
    left = np.stack([np.sin(b_FH), np.cos(b_FH)], axis=2)
    result: np.ndarray = np.matmul(left, np.stack([np.cos(a_FW), np.sin(a_FW)], axis=1))
    return result


def _field(ground: Ground, rng: np.random.Generator, u_FW: np.ndarray, v_FH: np.ndarray) -> np.ndarray:
    """Field FHW of the background: 0 where it has its light colour, 1 where it has its dark colour."""
    if ground.kind == "clouds":
        return _soft_step(_waves(rng, u_FW, v_FH, 6) * 0.6)
    if ground.kind == "sky":
        sky_FHW = 0.5 - v_FH[:, :, None] + np.float32(0.12) * _waves(rng, u_FW, v_FH, 4)
        sun_x, sun_y, size = rng.uniform((-0.5, -0.35, 0.13), (0.5, -0.05, 0.2))
        far_FHW = ((v_FH - np.float32(sun_y)) ** 2)[:, :, None] + ((u_FW - np.float32(sun_x)) ** 2)[:, None, :]
        sun_FHW = _soft_step((np.float32(size**2) - far_FHW) * np.float32(5 / size))
        return sky_FHW + sun_FHW * (np.float32(-0.35) - sky_FHW)
    if ground.kind == "hills":
        field_FHW = np.broadcast_to(0.25 - 0.5 * v_FH[:, :, None], (*v_FH.shape, u_FW.shape[1])) * np.float32(0.3)
        for layer, (level, shade) in enumerate(((-0.1, 0.5), (0.08, 0.8), (0.27, 1.1))):
            along_FW = u_FW * np.float32(0.5 + 0.25 * layer)
            (slow, fast), (one, two) = rng.uniform((3.5, 7), (5.5, 10)), rng.uniform(0, 2 * math.pi, 2)
            ridge_FW = level + 0.07 * np.sin(slow * along_FW + one) + 0.035 * np.sin(fast * along_FW + two)
            inside_FHW = _soft_step((v_FH[:, :, None] - ridge_FW[:, None, :].astype(np.float32)) * np.float32(28))
            field_FHW = field_FHW + inside_FHW * (np.float32(shade) - field_FHW)
        return field_FHW
    period, (one, two) = rng.uniform(0.3, 0.42), rng.uniform(0, 2 * math.pi, 2)
    k = np.float32(2 * math.pi / period)
    if ground.kind == "dots":
        across_FW, down_FH = _to_lattice(u_FW, period, one), _to_lattice(v_FH, period, two)
        return _soft_step((np.float32(0.07) - (down_FH**2)[:, :, None] - (across_FW**2)[:, None, :]) * np.float32(14))
    if ground.kind == "waves":
        bend_FW = 1.3 * np.sin(rng.uniform(4, 6) * u_FW + one)
        return _soft_step(_sine_of_sum(bend_FW.astype(np.float32), k * v_FH) * np.float32(1.4))
    lean = rng.uniform(0, math.pi)
    across_FW, down_FH = np.float32(math.cos(lean)) * k * u_FW, np.float32(math.sin(lean)) * k * v_FH
    return _soft_step(_sine_of_sum(across_FW, down_FH) * np.float32(1.4))


def _ground(
    ground: Ground, light: Light, times_F: np.ndarray, gain_F: np.ndarray, x_W: np.ndarray, y_H: np.ndarray
) -> np.ndarray:
    """The background as a float32 canvas CFHW, 0 to 255."""
    zoom_F1 = (1 + ground.zoom * np.sin(2 * math.pi * times_F / ground.zoom_period)).astype(np.float32)[:, None]
    u_FW = x_W[None, :] * zoom_F1 + (ground.pan_x * times_F).astype(np.float32)[:, None]
    v_FH = y_H[None, :] * zoom_F1 + (ground.pan_y * times_F).astype(np.float32)[:, None]
    field_FHW = _field(ground, np.random.default_rng(ground.seed), u_FW, v_FH).astype(np.float32)
    slope_HW = (
        1
        + np.float32(0.12 * math.sin(light.angle)) * y_H[:, None]
        + np.float32(0.12 * math.cos(light.angle)) * x_W[None, :]
    )
    shade_FHW = gain_F[:, None, None] * slope_HW[None, :, :]
    field_FHW *= shade_FHW
    bright, dark = (np.array(rgb, np.float32) for rgb in FLAT_GROUND_RGB[ground.colour])
    canvas_CFHW = np.empty((3, *field_FHW.shape), np.float32)
    for channel in range(3):
        np.multiply(shade_FHW, bright[channel], out=canvas_CFHW[channel])
        canvas_CFHW[channel] += field_FHW * (dark - bright)[channel]
    return canvas_CFHW


def _draw(
    canvas_CFHW: np.ndarray,
    labels_FHW: np.ndarray,
    touched_FHW: np.ndarray,
    index: int,
    thing: Thing,
    light: Light,
    times_F: np.ndarray,
    gain_F: np.ndarray,
    x_W: np.ndarray,
    y_H: np.ndarray,
) -> None:
    """Draw a thing in front of what has been drawn."""
    height, width = len(y_H), len(x_W)
    path = pose(thing, times_F)
    size = float(max(path.wide_F.max(), path.tall_F.max())) * thing.radius * height
    rows, columns = min(height, 2 * math.ceil(size) + 4), min(width, 2 * math.ceil(size) + 4)
    top_F = np.clip(np.rint((path.y_F + 0.5) * height - rows / 2), 0, height - rows).astype(int)
    left_F = np.clip(np.rint(path.x_F * height + width / 2 - columns / 2), 0, width - columns).astype(int)
    dx_Fc = x_W[left_F[:, None] + np.arange(columns)] - path.x_F.astype(np.float32)[:, None]
    dy_Fr = y_H[top_F[:, None] + np.arange(rows)] - path.y_F.astype(np.float32)[:, None]

    def rotated(cos_F: np.ndarray, sin_F: np.ndarray, scale_F: np.ndarray) -> np.ndarray:
        along_Fc = dx_Fc * (cos_F / scale_F).astype(np.float32)[:, None]
        down_Fr = dy_Fr * (sin_F / scale_F).astype(np.float32)[:, None]
        result: np.ndarray = along_Fc[:, None, :] + down_Fr[:, :, None]
        return result

    cos_F, sin_F = np.cos(path.angle_F), np.sin(path.angle_F)
    x_Frc = rotated(cos_F, sin_F, thing.radius * path.wide_F)
    y_Frc = rotated(-sin_F, cos_F, thing.radius * path.tall_F)
    distance_Frc = DISTANCES[thing.shape](x_Frc, y_Frc).astype(np.float32)
    pixels_F = (thing.radius * height * np.sqrt(path.wide_F * path.tall_F)).astype(np.float32)
    cover_Frc = np.clip(0.5 - distance_Frc * pixels_F[:, None, None], 0, 1)

    colour = np.array(FLAT_RGB[thing.colour], np.float32)
    second = 0.7 * colour + 0.3 * np.array([255, 250, 240], np.float32)
    pattern_Frc = _pattern(thing, x_Frc, y_Frc)
    toward_Frc = (dx_Fc * np.float32(math.cos(light.angle) / thing.radius))[:, None, :] + (
        dy_Fr * np.float32(math.sin(light.angle) / thing.radius)
    )[:, :, None]
    inside_Frc = np.clip(distance_Frc * -4, 0, 1)
    shade_Frc = (0.74 + 0.2 * inside_Frc * (2 - inside_Frc) + 0.16 * toward_Frc) * gain_F[:, None, None]
    shine_Frc = 46 * np.exp(-6 * ((x_Frc * x_Frc + y_Frc * y_Frc) - 0.84 * toward_Frc + 0.18)) * inside_Frc

    left_Frc = 1 - cover_Frc
    paint_CFrc = np.empty((3, *cover_Frc.shape), np.float32)
    for channel in range(3):
        paint = (colour[channel] + pattern_Frc * (second - colour)[channel]) * shade_Frc + shine_Frc
        paint_CFrc[channel] = np.clip(paint, 0, 255) * cover_Frc
    bit = np.uint8(1 << index)
    for frame, (top, left) in enumerate(zip(top_F, left_F)):
        part = (slice(top, top + rows), slice(left, left + columns))
        canvas = canvas_CFHW[:, frame, part[0], part[1]]
        canvas *= left_Frc[frame]
        canvas += paint_CFrc[:, frame]
        labels_FHW[frame][part][cover_Frc[frame] > 0.5] = index + 1
        touched = touched_FHW[frame][part]
        touched *= left_Frc[frame] > 0
        touched |= (cover_Frc[frame] > 0) * bit


def _pattern(thing: Thing, x_Frc: np.ndarray, y_Frc: np.ndarray) -> np.ndarray:
    """Amount of the second colour in [0, 1]; the pattern moves with the thing."""
    if thing.pattern == "plain":
        return np.zeros((1, 1, 1), np.float32)
    period = PATTERN_PERIOD / thing.radius
    if thing.pattern == "striped":
        k = np.float32(2 * math.pi / period)
        return _soft_step(np.sin(k * (np.float32(0.6) * x_Frc + np.float32(0.8) * y_Frc)) * np.float32(1.2))
    across_Frc = _to_lattice(x_Frc + y_Frc, 1.25 * period, 0.5)
    down_Frc = _to_lattice(y_Frc - x_Frc, 1.25 * period, 0.5)
    return _soft_step((np.float32(0.08) - across_Frc * across_Frc - down_Frc * down_Frc) * np.float32(10))
