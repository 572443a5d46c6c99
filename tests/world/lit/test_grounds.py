"""Backgrounds of the lit look: structure that follows from what surrounds a hole, moved by the camera."""

import dataclasses

import numpy as np
import pytest

from tests.world.scenes import scene_of
from vp_jax.world.lit.grounds import draw_ground
from vp_jax.world.lit.palette import LIT_GROUND_RGB
from vp_jax.world.lit.scenes import LIT_GROUNDS
from vp_jax.world.scene import GROUND_COLOURS, Ground, Light

STILL = Ground("tiles", "grey", 5, 0.0, 0.0, 0.0, 40.0)
WALLS = ("tiles", "bricks", "planks")


def drawn(kind, times=(0.0,), height=64, width=96, **changes):
    """Colours FHWC of a background."""
    ground = dataclasses.replace(STILL, kind=kind, **changes)
    x, y = ((np.arange(size) + 0.5 - size / 2) / height for size in (width, height))
    return draw_ground(ground, Light(-1.0, 0.0, 20.0), np.array(times), x, y).transpose(1, 2, 3, 0)


def test_names_of_colours_are_those_of_scenes():
    assert tuple(LIT_GROUND_RGB) == GROUND_COLOURS


@pytest.mark.parametrize("kind", LIT_GROUNDS)
def test_a_background_has_structure_and_is_like_no_other(kind):
    frame = drawn(kind)[0]
    assert np.abs(np.diff(frame, axis=0)).max() > 15 and frame.std((0, 1)).min() > 4
    assert all(np.abs(frame - drawn(other)[0]).mean() > 5 for other in LIT_GROUNDS if other != kind)
    assert np.abs(frame - drawn(kind, seed=6)[0]).mean() > 2, "another seed"


@pytest.mark.parametrize("kind", LIT_GROUNDS)
def test_a_wider_picture_continues_a_narrower_one(kind):
    """What a picture does not show does not change it: things and edges only hide what is there."""
    np.testing.assert_allclose(drawn(kind, width=160)[:, :, 33:-33], drawn(kind)[:, :, 1:-1], atol=1e-3)


@pytest.mark.parametrize("kind", WALLS)
def test_the_camera_moves_walls_by_whole_pixels_where_it_should(kind):
    """Three pixels to the right and two down per frame."""
    first, second = drawn(kind, (0.0, 1.0), pan_x=3 / 64, pan_y=2 / 64)
    np.testing.assert_allclose(second[:-2, :-3], first[2:, 3:], atol=0.1)
    assert np.abs(second - first).mean() > 3


def test_near_hills_pass_faster_than_far_ones():
    first, second = drawn("hills", (0.0, 10.0), pan_x=8 / 640, height=128, width=192)
    moved = {}
    for name, rows in (("sky", slice(0, 20)), ("near", slice(118, 128))):
        moved[name] = np.abs(second[rows] - first[rows]).mean()
    assert moved["sky"] < 3
    # the nearest range moves as the camera does: 16 pixels
    errors = [np.abs(second[100:, :-shift] - first[100:, shift:]).mean() for shift in (4, 8, 16, 24)]
    assert min(errors) == errors[2]


def test_a_chequered_plane_has_smaller_fields_further_up():
    def changes(row):
        return (np.abs(np.diff(row.mean(-1))) > 8).sum()

    frame = drawn("checks", height=192, width=288)[0]
    crossings = [np.mean([changes(frame[row]) for row in rows]) for rows in (range(4, 40), range(150, 188))]
    assert crossings[0] > 1.2 * crossings[1] > 0


@pytest.mark.parametrize("kind", LIT_GROUNDS)
def test_the_camera_zooms(kind):
    start, quarter, half = drawn(kind, (0.0, 10.0, 20.0), zoom=0.3, zoom_period=40.0)
    np.testing.assert_allclose(start, half, atol=0.01)
    assert np.abs(quarter - start).mean() > 2


@pytest.mark.parametrize("colour", GROUND_COLOURS)
@pytest.mark.parametrize("kind", LIT_GROUNDS)
def test_backgrounds_have_less_colour_than_things(kind, colour):
    frame = drawn(kind, colour=colour)[0]
    assert np.quantile(np.ptp(frame, axis=-1), 0.99) < 80


def test_scenes_by_hand_use_a_background_of_the_look():
    assert scene_of(look="lit").ground.kind in LIT_GROUNDS
