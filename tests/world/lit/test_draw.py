"""Pictures of the lit look: the same at every size and on every processor, exact masks, shadows, occlusion, light."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.world.scenes import TIMES, scene_of, still
from vp_jax.world.lit.draw import BLUR, LIFT
from vp_jax.world.lit.outlines import LIT_DISTANCES
from vp_jax.world.lit.palette import LIT_RGB
from vp_jax.world.looks import make_scene, render
from vp_jax.world.scene import COLOURS, PATTERNS, SHAPES, Light

SEEDS = range(12)
DIGEST = """
import hashlib, numpy as np
from vp_jax.world.looks import make_scene, render
digest = hashlib.sha256()
for seed in range(12):
    drawn = render(make_scene(seed, "lit"), np.arange(0, 17, 4), 64, 96)
    for array in (drawn.frames_FHWC, drawn.labels_FHW, drawn.touched_FHW, drawn.reached_FHW):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


def lit(*things):
    return scene_of(*things, look="lit")


def draw(scene, height=64, times=TIMES):
    return render(scene, times, height, height * 3 // 2)


def without(scene, thing):
    return dataclasses.replace(scene, things=scene.things[:thing] + scene.things[thing + 1 :])


def test_equal_seeds_give_equal_bytes_and_other_seeds_others():
    digests = [hashlib.sha256(draw(make_scene(seed, "lit")).frames_FHWC.tobytes()).digest() for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


def test_the_processor_does_not_change_a_bit():
    """Without its vector instructions NumPy calculates sines with other code; pictures and masks stay the same."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    fast = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    found = []
    for disabled in ("", " ".join(fast)):
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled}
        done = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1] != ""


def test_a_frame_depends_on_its_own_time_alone():
    scene = make_scene(7, "lit")
    every, part = draw(scene, times=np.arange(17)), draw(scene, times=np.array([3.0, 11.0]))
    for name in ("frames_FHWC", "labels_FHW", "touched_FHW", "reached_FHW"):
        np.testing.assert_array_equal(getattr(every, name)[[3, 11]], getattr(part, name))
    large = draw(scene, 256, np.arange(6))
    np.testing.assert_array_equal(large.frames_FHWC[4:5], draw(scene, 256, np.array([4.0])).frames_FHWC)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_picture_at_every_size(seed):
    scene = make_scene(seed, "lit")
    small = draw(scene, 64, TIMES[:2])
    for times in (2, 5):
        large = draw(scene, 64 * times, TIMES[:2])
        pooled = large.frames_FHWC.reshape(2, 64, times, 96, times, 3).astype(float).mean((2, 4))
        difference = np.abs(pooled - small.frames_FHWC)
        assert difference.mean() < 1.5 and np.quantile(difference, 0.99) < 16
        agree = large.labels_FHW[:, times // 2 :: times, times // 2 :: times] == small.labels_FHW
        assert agree.mean() > 0.98


def test_a_frame_of_the_paper_size_is_drawn():
    drawn = draw(make_scene(3, "lit"), 480, np.array([5.0]))
    assert drawn.frames_FHWC.shape == (1, 480, 720, 3) and drawn.frames_FHWC.dtype == np.uint8


@pytest.mark.parametrize("seed", SEEDS)
def test_no_pixel_outside_of_the_reach_of_a_thing_depends_on_it(seed):
    scene = make_scene(seed, "lit")
    drawn = draw(scene)
    for thing in range(len(scene.things)):
        gone = draw(without(scene, thing))
        changed = (drawn.frames_FHWC != gone.frames_FHWC).any(-1)
        reach, mask = drawn.reach(thing) == 1, drawn.mask(thing) == 1
        assert not changed[~reach].any() and changed[reach].mean() > 0.9
        assert changed[mask].mean() > 0.97, "the mask is where the thing is"
        assert reach[mask].all() and (reach & ~mask).any(), "and its shadow is beside it"


@pytest.mark.parametrize("seed", SEEDS)
def test_beside_its_mask_a_thing_only_darkens(seed):
    scene = make_scene(seed, "lit")
    drawn = draw(scene)
    for thing in range(len(scene.things)):
        gone = draw(without(scene, thing)).frames_FHWC
        shadow = (drawn.reach(thing) == 1) & (drawn.mask(thing) == 0)
        assert (drawn.frames_FHWC[shadow] <= gone[shadow]).all()


def test_a_mask_is_every_bit_of_a_thing_and_a_label_more_than_half_of_the_pixel():
    scene = lit(still(x=0.013, y=-0.021, shape="star"))
    small, fine = draw(scene, 64, np.zeros(1)), draw(scene, 64 * 16, np.zeros(1))
    part = (fine.labels_FHW == 1).reshape(64, 16, 96, 16).mean((1, 3))
    label, mask = small.labels_FHW[0] == 1, small.mask(0)[0] == 1
    assert label[part > 0.6].all() and not label[part < 0.4].any()
    assert mask[part > 0.06].all() and not mask[part == 0].mean() > 0.01 and mask[label].all()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_edge_shows_the_part_of_the_pixel_that_is_covered(shape):
    """Anti-aliasing: colours at the edge of a thing lie between both sides by the area that it covers."""
    thing = still(shape=shape, radius=0.3, x=0.01, y=0.02, angle=0.3)
    fine = draw(lit(thing), 64 * 8, np.zeros(1))
    part = (fine.labels_FHW[0] == 1).reshape(64, 8, 96, 8).mean((1, 3))
    small, empty = draw(lit(thing), 64, np.zeros(1)), draw(lit(), 64, np.zeros(1))
    pooled = fine.frames_FHWC[0].reshape(64, 8, 96, 8, 3).astype(float).mean((1, 3))
    edge = (part > 0.1) & (part < 0.9)
    assert edge.sum() > 40 and np.abs(small.frames_FHWC[0].astype(float) - pooled)[edge].mean() < 12
    assert np.abs(small.frames_FHWC[0].astype(float) - empty.frames_FHWC[0])[part > 0.9].mean() > 20


def test_a_shadow_falls_away_from_the_light():
    thing = still(x=0.0, y=0.0)
    for angle in (-2.4, -0.7):
        scene = dataclasses.replace(lit(thing), light=Light(angle, 0.0, 20.0))
        drawn = draw(scene, 128, np.zeros(1))
        row, column = np.nonzero(drawn.reach(0)[0] & (1 - drawn.mask(0)[0]))
        assert row.mean() > 64 and np.sign(column.mean() - 96) == -np.sign(np.cos(angle))


def test_a_shadow_is_soft_and_ends():
    drawn = draw(lit(still()), 128, np.zeros(1))
    gone = draw(lit(), 128, np.zeros(1))
    row, column = np.nonzero(drawn.reach(0)[0])
    far = np.hypot((row + 0.5 - 64) / 128, (column + 0.5 - 96) / 128)
    assert far.max() < 0.2 + LIFT + BLUR / 2 + 0.01
    kept = drawn.frames_FHWC[0].mean(-1) / gone.frames_FHWC[0].mean(-1)
    shadow = kept[(drawn.reach(0)[0] == 1) & (drawn.mask(0)[0] == 0)]
    assert shadow.min() < 0.7 and np.histogram(shadow, 6, (0.65, 1))[0].min() > 10, "all grades of it"


def test_a_shadow_falls_on_what_is_behind():
    """A thing at the upper left of another: its shadow falls on that one if it is in front of it, otherwise not."""
    back, front = still(x=0.12, y=0.3, radius=0.2), still(colour="blue", shape="square", y=-0.03, radius=0.15)
    drawn, alone = draw(lit(back, front)), draw(lit(back))
    shaded = (drawn.labels_FHW == 1) & (drawn.mask(1) == 0) & (drawn.reach(1) == 1)
    assert shaded.sum() > 20
    assert drawn.frames_FHWC[shaded].mean() < alone.frames_FHWC[shaded].mean() - 3
    below = draw(lit(front, back))
    inner = (below.labels_FHW == 2) & (below.reach(0) == 0)
    assert inner[shaded].sum() > 20, "the same pixels, without those that both share"
    np.testing.assert_array_equal(below.frames_FHWC[inner], alone.frames_FHWC[inner])


def test_later_things_hide_earlier_ones():
    red, blue = still(), still(colour="blue", shape="square", x=0.1)
    front, back = draw(lit(red, blue)), draw(lit(blue, red))
    both = (draw(lit(red)).labels_FHW == 1) & (draw(lit(blue)).labels_FHW == 1)
    assert both.sum() > 100
    assert (front.labels_FHW[both] == 2).all() and (back.labels_FHW[both] == 2).all()
    channels = front.frames_FHWC[both].mean(0), back.frames_FHWC[both].mean(0)
    assert channels[0].argmax() == 2 and channels[1].argmax() == 0


def test_what_a_thing_hides_completely_is_not_in_the_masks_of_those_behind():
    small, large = still(radius=0.06), still(colour="blue", shape="square", radius=0.3)
    drawn = draw(lit(small, large), times=np.zeros(1))
    assert not drawn.mask(0).any() and not drawn.reach(0).any() and drawn.mask(1).any()
    assert set(np.unique(drawn.labels_FHW)) == {0, 2}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_thing_has_the_colour_of_its_name(colour, pattern):
    drawn = draw(lit(still(colour=colour, pattern=pattern, radius=0.3)), times=np.zeros(1))
    mean = drawn.frames_FHWC[drawn.labels_FHW == 1].mean(0)
    named = {name: np.linalg.norm(mean - np.array(rgb)) for name, rgb in LIT_RGB.items()}
    assert min(named, key=named.get) == colour


def test_names_of_colours_are_those_of_scenes():
    assert tuple(LIT_RGB) == COLOURS and tuple(LIT_DISTANCES) == SHAPES


def test_things_are_brighter_on_the_side_of_the_light():
    scene = dataclasses.replace(lit(still(radius=0.3)), light=Light(-np.pi / 2 - 0.5, 0.0, 20.0))
    drawn = draw(scene, 128, np.zeros(1))
    inside, frame = drawn.labels_FHW[0] == 1, drawn.frames_FHWC[0].mean(-1)
    y, x = (np.mgrid[:128, :192] + 0.5 - np.array([64, 96])[:, None, None]) / 128
    towards = x * np.cos(scene.light.angle) + y * np.sin(scene.light.angle)
    assert frame[inside & (towards > 0.15)].mean() > frame[inside & (towards < -0.15)].mean() + 15


def test_light_swings_and_shines_on_everything():
    scene = dataclasses.replace(lit(still()), light=Light(-1.0, 0.08, 40.0))
    bright, dim = draw(scene, times=np.array([10.0])), draw(scene, times=np.array([30.0]))
    np.testing.assert_array_equal(bright.labels_FHW, dim.labels_FHW)
    assert (bright.frames_FHWC >= dim.frames_FHWC).all()
    assert (bright.frames_FHWC.mean((0, 1, 2)) > dim.frames_FHWC.mean((0, 1, 2)) + 5).all()


@pytest.mark.parametrize("pattern", ["striped", "spotted"])
def test_a_pattern_is_lighter_and_moves_with_the_thing(pattern):
    plain, patterned, moved = (
        draw(lit(still(pattern=name, radius=0.3, x=x)), 96, np.zeros(1))
        for name, x in (("plain", 0.0), (pattern, 0.0), (pattern, 0.25))
    )
    np.testing.assert_array_equal(plain.labels_FHW, patterned.labels_FHW)
    inside, there = plain.labels_FHW == 1, moved.labels_FHW == 1
    change = patterned.frames_FHWC[inside].astype(int) - plain.frames_FHWC[inside]
    lighter = (change > 20).any(-1)
    assert change.min() >= -1 and 0.1 < lighter.mean() < 0.9 and (change == 0).all(-1).mean() > 0.1
    difference = np.abs(moved.frames_FHWC[there].astype(int) - patterned.frames_FHWC[inside])
    assert (difference <= 2).all(-1).mean() > 0.9, "only its rim mixes with another background"
