"""Scenes: paths against a ball rolled by hand, what is drawn from a seed, and the words for it."""

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from tests.world.scenes import scene_of, still
from vp_jax.world.looks import LOOKS, caption_words, make_scene
from vp_jax.world.scene import (
    COLOURS,
    GROUND_COLOURS,
    HALF_HEIGHT,
    HALF_WIDTH,
    MOTIONS,
    PATTERNS,
    SHAPES,
    caption,
    fits,
    overlap,
    pose,
    thing_caption,
)
from vp_jax.world.synthetic import HELD_OUT

FRAMES = np.arange(0, 40, 1.0)


@pytest.mark.parametrize("look", LOOKS)
def test_things_move_smoothly_and_stay_in_the_frame(look):
    for seed in range(60):
        for thing in make_scene(seed, look).things:
            at = pose(thing, np.arange(0, 34, 0.25))
            assert (np.hypot(np.diff(at.x_F), np.diff(at.y_F)) < 0.05).all()
            assert (np.abs(at.x_F) <= HALF_WIDTH - 0.8 * thing.radius).all(), (seed, thing)
            assert (np.abs(at.y_F) <= HALF_HEIGHT - 0.75 * thing.radius).all(), (seed, thing)


@pytest.mark.parametrize("look", LOOKS)
def test_captions_are_short_and_say_every_word_of_the_scene(look):
    known = caption_words(look)
    seen: Counter[str] = Counter()
    for seed in (*range(400), *range(HELD_OUT, HELD_OUT + 100)):
        scene = make_scene(seed, look)
        words = caption(scene).split()
        seen.update(words)
        assert len(words) <= 20 and set(words) <= known and len(known) < 120
        assert scene.ground.kind == words[-1] and scene.ground.colour == words[-2]
        for index, thing in enumerate(scene.things):
            assert f"{thing_caption(scene, index)} {thing.motion}" in caption(scene)
            assert (thing.pattern in thing_caption(scene, index)) == (thing.pattern != "plain")
        for name in ("shape", "colour"):
            assert len({getattr(thing, name) for thing in scene.things}) == len(scene.things)
    everything = {*SHAPES, *COLOURS, *PATTERNS[1:], *MOTIONS, *LOOKS[look].grounds, *GROUND_COLOURS}
    assert everything <= set(seen) and everything <= known


def test_a_bouncing_thing_is_a_ball_between_four_walls():
    """Rolled in a thousand steps per frame, turning round at each wall."""
    thing = still(motion="bounces", radius=0.2, x=0.1, y=-0.2, dx=0.04, dy=-0.033)
    walls, at, speed = (HALF_WIDTH - 0.9 * 0.2, HALF_HEIGHT - 0.9 * 0.2), [0.1, -0.2], [0.04, -0.033]
    want, bounces = [], 0
    for _ in FRAMES:
        want.append(tuple(at))
        for _ in range(1000):
            for axis in range(2):
                at[axis] += speed[axis] / 1000
                if abs(at[axis]) > walls[axis]:
                    speed[axis], bounces = -abs(speed[axis]) * math.copysign(1, at[axis]), bounces + 1
    path = pose(thing, FRAMES)
    np.testing.assert_allclose(np.stack([path.x_F, path.y_F], axis=1), want, atol=2e-4)
    assert bounces >= 3


@pytest.mark.parametrize(
    "motion, x, y",
    [
        ("orbits", lambda a: 0.1 + 0.3 * math.cos(a), lambda a: 0.05 + 0.2 * math.sin(a)),
        ("sways", lambda a: 0.1 + 0.3 * math.sin(a), lambda a: 0.05 + 0.2 * math.cos(2 * a)),
        ("spins", lambda a: 0.1 + 0.3 * math.sin(a), lambda a: 0.05 + 0.2 * math.cos(2 * a)),
        ("pulses", lambda a: 0.1 + 0.3 * math.sin(a), lambda a: 0.05 + 0.2 * math.cos(2 * a)),
        ("hops", lambda a: 0.1 + 0.3 * math.sin(a / 3), lambda a: 0.05 - 0.2 * abs(math.sin(a / 2))),
    ],
)
def test_paths_of_the_other_motions(motion, x, y):
    thing = still(motion=motion, x=0.1, y=0.05, dx=0.3, dy=0.2, period=20.0, phase=0.7)
    path = pose(thing, FRAMES)
    turns = [2 * math.pi * t / 20 + 0.7 for t in FRAMES]
    np.testing.assert_allclose(path.x_F, [x(a) for a in turns], atol=1e-12)
    np.testing.assert_allclose(path.y_F, [y(a) for a in turns], atol=1e-12)


def test_only_what_spins_turns_on_and_on():
    spinning, swaying = (pose(still(motion=motion, turn=0.3, angle=0.1), FRAMES) for motion in ("spins", "sways"))
    np.testing.assert_allclose(spinning.angle_F, 0.1 + 0.3 * FRAMES)
    assert np.abs(swaying.angle_F - 0.1).max() == pytest.approx(0.22, abs=0.01)


def test_size_breathes_and_proportions_squash():
    plain = pose(still(), FRAMES)
    assert (plain.wide_F == 1).all() and (plain.tall_F == 1).all()
    breathing = pose(still(breathe=0.2, period=16.0), np.array([0.0, 4.0, 12.0]))
    np.testing.assert_allclose(breathing.wide_F, [1, 1.2, 0.8])
    np.testing.assert_allclose(breathing.wide_F, breathing.tall_F)
    squashed = pose(still(squash=0.1, period=16.0), np.array([0.0, 4.0]))
    np.testing.assert_allclose(squashed.wide_F, [1.1, 1])
    np.testing.assert_allclose(squashed.tall_F, [0.9, 1])


def test_words_that_could_not_be_seen_do_not_fit():
    refused = {
        (shape, pattern, motion)
        for shape in SHAPES
        for pattern in PATTERNS
        for motion in MOTIONS
        if not fits(shape, pattern, motion)
    }
    spinning = {(shape, "plain", "spins") for shape in ("circle", "ring")}
    spotted = {(shape, "spotted", motion) for shape in ("ring", "cross", "moon", "star") for motion in MOTIONS}
    assert refused == spinning | spotted


def test_overlap_is_one_on_top_and_nothing_apart():
    thing = still()
    assert overlap(thing, still(colour="blue")) == 1
    assert overlap(thing, still(x=0.5)) == 0
    near = [overlap(thing, still(x=x)) for x in (0.1, 0.15, 0.2, 0.3)]
    assert near == sorted(near, reverse=True) and 0 < near[-1] < near[0] < 1


def test_captions_by_hand():
    red = still()
    orange = still(shape="star", colour="orange", pattern="striped", motion="orbits")
    assert caption(scene_of(red)) == "a red circle pulses over grey clouds"
    assert caption(scene_of(red, orange)) == ("a red circle pulses and an orange striped star orbits over grey clouds")
    assert thing_caption(scene_of(red, orange), 1) == "an orange striped star"
    hills = dataclasses.replace(scene_of().ground, kind="hills", colour="mint")
    assert caption(dataclasses.replace(scene_of(), ground=hills)) == "mint hills"
