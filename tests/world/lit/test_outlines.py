"""Signed distances of the lit look: against distances to a polygon of many points, and where each shape has what."""

import math

import numpy as np
import pytest

from vp_jax.world.lit.outlines import LIT_DISTANCES
from vp_jax.world.scene import SHAPES


def at(shape, x, y):
    return float(LIT_DISTANCES[shape](np.float32([x]), np.float32([y]))[0])


def outline(shape):
    """Points on the outline, found where the sign changes between two points of a fine grid."""
    line = np.linspace(-1.05, 1.05, 1401)
    x, y = np.meshgrid(line, line)
    d = LIT_DISTANCES[shape](x, y)
    points = []
    for axis in (0, 1):
        first, second = (d[:-1], d[1:]) if axis == 0 else (d[:, :-1], d[:, 1:])
        row, column = np.nonzero((first < 0) != (second < 0))
        part = first[row, column] / (first[row, column] - second[row, column])
        step = part * (line[1] - line[0])
        points.append(np.stack([line[column] + step * (axis == 1), line[row] + step * (axis == 0)], axis=1))
    return np.concatenate(points)


def test_every_shape_of_a_scene_has_its_distance():
    assert tuple(LIT_DISTANCES) == SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_are_those_to_the_nearest_point_of_the_outline(shape):
    points = outline(shape)
    assert len(points) > 2000 and np.hypot(*points.T).max() <= 1
    x, y = np.random.default_rng(0).uniform(-1.3, 1.3, (2, 400))
    nearest = np.hypot(x[:, None] - points[:, 0], y[:, None] - points[:, 1]).min(1)
    d = LIT_DISTANCES[shape](x, y)
    exact = (d > 0) | (shape not in ("cross", "star"))  # inside of these, a little less near their notches
    np.testing.assert_allclose(np.abs(d)[exact], nearest[exact], atol=3e-3)
    assert (np.abs(d) <= nearest + 3e-3).all() and np.abs(np.abs(d) - nearest).max() < 0.13


@pytest.mark.parametrize(
    "shape, x, y, inside",
    [
        ("triangle", 0, -0.75, True),  # it points up
        ("triangle", 0.5, -0.6, False),
        ("triangle", 0.6, 0.5, True),
        *(("star", 0.9 * math.sin(0.4 * math.pi * k), -0.9 * math.cos(0.4 * math.pi * k), True) for k in range(5)),
        *(("star", -0.8 * math.sin(0.4 * math.pi * k), 0.8 * math.cos(0.4 * math.pi * k), False) for k in range(5)),
        ("heart", 0, -0.75, False),  # the dent above
        ("heart", 0.36, -0.7, True),
        ("heart", 0, 0.75, True),
        ("heart", 0.5, 0.6, False),
        ("ring", 0, 0, False),
        ("ring", 0, 0.6, True),
        ("cross", 0.6, 0.6, False),
        ("cross", 0, 0.85, True),
        ("moon", 0.6, -0.1, False),
        ("moon", -0.7, 0, True),
        ("square", 0.6, 0.6, True),
        ("circle", 0.7, 0.7, False),
    ],
)
def test_inside_is_negative(shape, x, y, inside):
    assert (at(shape, x, y) < 0) == inside


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "moon"])
def test_left_is_right_reflected(shape):
    x, y = np.random.default_rng(1).uniform(-1.2, 1.2, (2, 500))
    np.testing.assert_allclose(LIT_DISTANCES[shape](x, y), LIT_DISTANCES[shape](-x, y), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_big_enough_to_be_seen(shape):
    x, y = np.meshgrid(np.linspace(-1, 1, 201), np.linspace(-1, 1, 201))
    assert 0.9 < (LIT_DISTANCES[shape](x, y) < 0).mean() * 4 < math.pi
