"""Pictures of the flat look: the same at every size, exact masks and labels, colours, light, camera."""

import dataclasses

import numpy as np
import pytest

from tests.world.scenes import TIMES, scene_of, still
from vp_jax.world.flat.draw import FLAT_GROUND_RGB, FLAT_RGB, strength
from vp_jax.world.flat.outlines import DISTANCES
from vp_jax.world.flat.scenes import FLAT_GROUNDS
from vp_jax.world.looks import make_scene, render
from vp_jax.world.scene import COLOURS, GROUND_COLOURS, PATTERNS, SHAPES, Light


def test_a_frame_depends_on_its_own_time_alone():
    scene = make_scene(7)
    whole, part = render(scene, np.arange(17), 64, 96), render(scene, np.array([3.0, 11.0]), 64, 96)
    np.testing.assert_array_equal(whole.labels_FHW[[3, 11]], part.labels_FHW)
    np.testing.assert_array_equal(whole.frames_FHWC[[3, 11]], part.frames_FHWC)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_picture_at_every_size(seed):
    scene = make_scene(seed)
    small, large = render(scene, TIMES, 64, 96), render(scene, TIMES, 128, 192)
    halved = large.frames_FHWC.reshape(5, 64, 2, 96, 2, 3).astype(float).mean((2, 4))
    difference = np.abs(halved - small.frames_FHWC)
    assert difference.mean() < 1 and np.quantile(difference, 0.999) < 40
    agree = large.labels_FHW[:, ::2, ::2] == small.labels_FHW
    assert agree.mean() > 0.98


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_lie_in_the_unit_disc_and_labels_follow_the_signed_distance(shape):
    grid = np.linspace(-1.5, 1.5, 301)
    x, y = np.meshgrid(grid, grid)
    inside = DISTANCES[shape](x, y) < 0
    assert 0.6 < inside.sum() * 0.01**2 < np.pi, "big enough to be seen"
    assert np.hypot(x, y)[inside].max() <= 1
    drawn = render(scene_of(still(shape=shape)), np.zeros(1), 300, 450)
    area = (drawn.labels_FHW == 1).sum() / 300**2
    assert area == pytest.approx(inside.sum() * 0.01**2 * 0.2**2, rel=0.03)


def test_a_label_is_more_than_half_of_the_pixel_and_the_mask_every_bit_of_it():
    thing = scene_of(still(x=0.013, y=-0.021))
    small, fine = render(thing, np.zeros(1), 64, 96), render(thing, np.zeros(1), 64 * 16, 96 * 16)
    part = (fine.labels_FHW == 1).reshape(64, 16, 96, 16).mean((1, 3))
    label, mask = small.labels_FHW[0] == 1, small.mask(0)[0] == 1
    assert label[part > 0.6].all() and not label[part < 0.4].any()
    assert mask[part > 0.1].all() and mask[label].all() and not (small.mask(1)).any()


def test_later_things_hide_earlier_ones():
    red, blue = still(), still(colour="blue", shape="square", x=0.1)
    front, back = render(scene_of(red, blue), TIMES, 64, 96), render(scene_of(blue, red), TIMES, 64, 96)
    both = (render(scene_of(red), TIMES, 64, 96).labels_FHW == 1) & (
        render(scene_of(blue), TIMES, 64, 96).labels_FHW == 1
    )
    assert both.sum() > 100
    assert (front.labels_FHW[both] == 2).all() and (back.labels_FHW[both] == 2).all()
    channels = front.frames_FHWC[both].mean(0), back.frames_FHWC[both].mean(0)
    assert channels[0].argmax() == 2 and channels[1].argmax() == 0


@pytest.mark.parametrize("colour", COLOURS)
def test_a_thing_has_the_colour_of_its_name(colour):
    drawn = render(scene_of(still(colour=colour)), np.zeros(1), 64, 96)
    mean = drawn.frames_FHWC[drawn.labels_FHW == 1].mean(0)
    named = {name: np.linalg.norm(mean - np.array(rgb)) for name, rgb in FLAT_RGB.items()}
    assert min(named, key=named.get) == colour


def test_names_of_colours_are_those_of_scenes():
    assert tuple(FLAT_RGB) == COLOURS and tuple(FLAT_GROUND_RGB) == GROUND_COLOURS


@pytest.mark.parametrize("kind", FLAT_GROUNDS)
def test_a_background_is_between_its_two_colours_and_shows_both(kind):
    """Apart from light, which falls off by at most 12 % per frame height."""
    scene = scene_of()
    scene = dataclasses.replace(scene, ground=dataclasses.replace(scene.ground, kind=kind, colour="navy"))
    frame = render(scene, np.zeros(1), 96, 144).frames_FHWC[0].astype(float)
    bright, dark = (np.array(rgb, float) for rgb in FLAT_GROUND_RGB["navy"])
    # how dark, where the mean of the channels lies between the two colours
    part = (bright.mean() - frame.mean(-1)) / (bright.mean() - dark.mean())
    assert part.min() > -0.75 and part.max() < 1.6
    assert np.quantile(part, 0.95) - np.quantile(part, 0.05) > 0.5
    mixed = bright + np.clip(part, 0, 1)[..., None] * (dark - bright)
    assert np.abs(frame - mixed).mean() < 12, "no other hue"


def test_backgrounds_of_each_kind_differ():
    frames = {}
    for kind in FLAT_GROUNDS:
        scene = scene_of()
        scene = dataclasses.replace(scene, ground=dataclasses.replace(scene.ground, kind=kind))
        frames[kind] = render(scene, np.zeros(1), 48, 72).frames_FHWC.tobytes()
    assert len(set(frames.values())) == len(FLAT_GROUNDS)


def test_the_camera_pans_by_whole_pixels_where_it_should():
    """Three pixels to the right and one down per frame: the same picture shifted, but for the light, which stays."""
    scene = scene_of()
    ground = dataclasses.replace(scene.ground, kind="stripes", pan_x=3 / 64, pan_y=1 / 64)
    first, second = render(dataclasses.replace(scene, ground=ground), np.arange(2.0), 64, 96).frames_FHWC.astype(int)
    shifted = np.abs(second[:-1, :-3] - first[1:, 3:])
    assert shifted.max() <= 3 and np.abs(second - first).mean() > 4


def test_the_camera_zooms():
    scene = scene_of()
    ground = dataclasses.replace(scene.ground, kind="dots", zoom=0.5, zoom_period=40.0)
    start, quarter, half = render(
        dataclasses.replace(scene, ground=ground), np.array([0.0, 10, 20]), 64, 96
    ).frames_FHWC
    np.testing.assert_array_equal(start, half)
    # the middle of the picture at 1.5 coordinates per pixel: rows 0 to 63 of the zoomed are -48 to 47 of the first
    np.testing.assert_allclose(quarter[32, 48].astype(int), start[32, 48], atol=16)
    assert np.abs(quarter.astype(int) - start).mean() > 3


def test_light_swings_about_one_and_shines_on_everything():
    light = Light(-1.0, 0.08, 40.0)
    np.testing.assert_allclose(strength(light, np.array([0.0, 10, 20, 30])), [1, 1.08, 1, 0.92], atol=1e-6)
    scene = dataclasses.replace(scene_of(still()), light=light)
    bright, dim = render(scene, np.array([10.0, 30]), 64, 96).frames_FHWC.astype(float)
    background = np.median(bright[:8] / dim[:8])
    assert background == pytest.approx(1.08 / 0.92, abs=0.02)
    drawn = render(scene, np.array([0.0]), 64, 96).labels_FHW[0] == 1
    assert (bright[drawn] >= dim[drawn]).all() and bright[drawn].mean() > dim[drawn].mean() + 5


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_lighter_where_its_second_colour_is(pattern):
    """Compared with the plain thing: untouched in the gaps, nowhere darker; it moves along with the thing."""
    plain, patterned = (
        render(scene_of(still(pattern=name, radius=0.3)), np.zeros(1), 96, 144) for name in ("plain", pattern)
    )
    np.testing.assert_array_equal(plain.labels_FHW, patterned.labels_FHW)
    inside = plain.labels_FHW == 1
    change = patterned.frames_FHWC[inside].astype(int) - plain.frames_FHWC[inside]
    if pattern == "plain":
        assert not change.any()
        return
    lighter = (change > 20).any(-1)
    assert change.min() >= -1 and 0.1 < lighter.mean() < 0.9 and (change == 0).all(-1).mean() > 0.1
    moved = render(scene_of(still(pattern=pattern, radius=0.3, x=0.25)), np.zeros(1), 96, 144)
    there = moved.labels_FHW == 1
    assert there.sum() == inside.sum()
    difference = np.abs(moved.frames_FHWC[there].astype(int) - patterned.frames_FHWC[inside])
    assert (difference <= 1).all(-1).mean() > 0.97, "only its rim mixes with another background"


def test_touched_pixels_are_those_whose_colour_the_thing_changes():
    thing = still(x=0.013)
    alone, empty = render(scene_of(thing), TIMES, 64, 96), render(scene_of(), TIMES, 64, 96)
    touched = alone.mask(0) == 1
    np.testing.assert_array_equal(alone.frames_FHWC[~touched], empty.frames_FHWC[~touched])
    changed = (alone.frames_FHWC != empty.frames_FHWC).any(-1)
    assert changed[touched].mean() > 0.98


def test_what_a_thing_hides_wholly_does_not_count_as_touched_by_those_behind():
    back, front = still(radius=0.1), still(colour="blue", shape="square", radius=0.25)
    drawn = render(scene_of(back, front), np.zeros(1), 64, 96)
    assert not drawn.mask(0).any() and drawn.mask(1).any() and set(np.unique(drawn.labels_FHW)) == {0, 2}
