"""Scenes of the lit look: how many things, which words, and how often things pass behind others."""

import math
from collections import Counter

import numpy as np
import pytest

from vp_jax.world.lit.scenes import CLEAR, CROSSING, LIT_GROUNDS, lit_scene, lit_thing
from vp_jax.world.scene import fits, overlap
from vp_jax.world.synthetic import masked_thing

SCENES = [lit_scene(seed) for seed in range(600)]


@pytest.mark.parametrize("number, share", [(1, 0.1875), (2, 0.625), (3, 0.1875)])
def test_scenes_hold_as_many_things_as_stated(number, share):
    count = sum(len(scene.things) == number for scene in SCENES)
    assert abs(count - 600 * share) < 4 * math.sqrt(600 * share * (1 - share))


def test_every_look_fits_and_every_background_comes_up():
    assert all(fits(thing.shape, thing.pattern, thing.motion) for scene in SCENES for thing in scene.things)
    kinds = Counter(scene.ground.kind for scene in SCENES)
    assert set(kinds) == set(LIT_GROUNDS) and min(kinds.values()) > 80
    assert {scene.look for scene in SCENES} == {"lit"} and len({scene.ground.seed for scene in SCENES}) == 600


def test_a_thing_is_unlike_the_others():
    for scene in SCENES[:300]:
        if len(scene.things) < 3:
            thing = lit_thing(np.random.default_rng(0), scene.things)
            taken = {word for other in scene.things for word in (other.shape, other.colour)}
            assert not {thing.shape, thing.colour} & taken


def test_half_of_the_things_pass_in_front_of_another_and_none_hides_it_for_long():
    hidden = np.array([overlap(scene.things[1], scene.things[0], 17) for scene in SCENES if len(scene.things) == 2])
    assert 0.35 < ((hidden >= CROSSING[0]) & (hidden <= CROSSING[1])).mean() < 0.65
    assert 0.35 < (hidden <= CLEAR[1]).mean() < 0.65 and np.quantile(hidden, 0.95) < 0.4


def test_masked_things_are_often_partly_behind_others():
    behind = 0
    for seed, scene in enumerate(SCENES):
        thing = masked_thing(scene, seed, 17)
        behind += any(overlap(front, scene.things[thing], 17) > 0.05 for front in scene.things[thing + 1 :])
    assert 0.1 < behind / 600 < 0.4
