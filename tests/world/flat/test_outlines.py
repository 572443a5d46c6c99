"""Signed distances of the shapes: points worked out by hand, and what makes a function a distance."""

import math

import numpy as np
import pytest

from vp_jax.world.flat.outlines import DISTANCES
from vp_jax.world.scene import SHAPES

TENTH = math.pi / 5


def at(shape, x, y):
    return float(DISTANCES[shape](np.float32([x]), np.float32([y]))[0])


def test_every_shape_of_a_scene_has_its_distance():
    assert tuple(DISTANCES) == SHAPES


@pytest.mark.parametrize(
    "shape, x, y",
    [
        ("circle", 0.95, 0),
        ("circle", -0.95 / math.sqrt(2), 0.95 / math.sqrt(2)),
        ("square", 0.73, 0),
        ("square", 0.3, -0.73),
        ("square", 0.63 + 0.1 / math.sqrt(2), 0.63 + 0.1 / math.sqrt(2)),  # corners are round
        ("triangle", 0, 0.6),  # the side below
        ("triangle", 0.5 / math.sqrt(3), 0.06 - 0.5 - 0.08),  # a point of the right side
        *(("star", math.sin(2 * k * TENTH), -math.cos(2 * k * TENTH)) for k in range(5)),  # tips, the first upwards
        *(("star", 0.62 * math.sin((2 * k + 1) * TENTH), -0.62 * math.cos((2 * k + 1) * TENTH)) for k in range(5)),
        ("heart", 0, -0.05 + 0.48 * math.sqrt(2)),  # the tip below
        ("ring", 0.95, 0),
        ("ring", 0, 0.31),
        ("cross", 0.92, 0.2),
        ("cross", -0.2, 0.92),
        ("cross", 0.4, 0.5),
        ("moon", -0.95, 0),
        ("moon", 0.02, -0.12),  # where the bite begins
    ],
)
def test_points_on_the_outline(shape, x, y):
    assert at(shape, x, y) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "shape, x, y, inside",
    [
        ("triangle", 0, -0.8, True),  # it points up
        ("triangle", 0.5, -0.7, False),
        ("heart", 0, -0.78, False),  # the dent above
        ("heart", 0.35, -0.78, True),
        ("ring", 0, 0, False),
        ("ring", 0, 0.6, True),
        ("cross", 0.6, 0.6, False),
        ("moon", 0.6, -0.1, False),
        ("moon", -0.7, 0, True),
        ("star", 0, 0.8, False),  # between two tips below
        ("star", 0, -0.9, True),
    ],
)
def test_inside_is_negative(shape, x, y, inside):
    assert (at(shape, x, y) < 0) == inside and abs(at(shape, x, y)) > 0.01


@pytest.mark.parametrize(
    "shape, x, y, distance",
    [
        ("circle", 0, 0, -0.95),
        ("circle", 2, 0, 1.05),
        ("square", 0, 1.73, 1.0),
        ("ring", 0, 0, 0.31),
        ("cross", 0, -1.92, 1.0),
    ],
)
def test_distances_by_hand(shape, x, y, distance):
    assert at(shape, x, y) == pytest.approx(distance, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_changes_it_by_at_most_its_length(shape):
    """What a distance does everywhere, and by all of its length at the outline, straight across."""
    rng = np.random.default_rng(0)
    (x, y), (dx, dy) = rng.uniform(-1.2, 1.2, (2, 4000)), rng.uniform(-0.3, 0.3, (2, 4000))
    change = DISTANCES[shape](x + dx, y + dy) - DISTANCES[shape](x, y)
    assert (np.abs(change) <= np.hypot(dx, dy) + 1e-6).all()
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 401), np.linspace(-1, 1, 401)))
    near = np.abs(DISTANCES[shape](x, y)) < 0.01
    h, x, y = 1e-4, x[near], y[near]
    across = DISTANCES[shape](x + h, y) - DISTANCES[shape](x - h, y)
    down = DISTANCES[shape](x, y + h) - DISTANCES[shape](x, y - h)
    slope = np.hypot(across, down) / (2 * h)
    assert near.sum() > 500 and np.quantile(slope, 0.1) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "moon"])
def test_left_is_right_reflected(shape):
    x, y = np.random.default_rng(1).uniform(-1.2, 1.2, (2, 500))
    np.testing.assert_allclose(DISTANCES[shape](x, y), DISTANCES[shape](-x, y), atol=1e-12)
