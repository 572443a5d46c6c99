"""Scenes of the flat look: how many things, which words, and how they keep clear of each other."""

import math
from collections import Counter

import numpy as np

from vp_jax.world.flat.scenes import flat_scene, flat_thing
from vp_jax.world.scene import fits, overlap


def test_scenes_hold_as_many_things_as_stated_and_every_look_fits():
    scenes = [flat_scene(seed) for seed in range(600)]
    counts = Counter(len(scene.things) for scene in scenes)
    for number, share in ((1, 0.4), (2, 0.5), (3, 0.1)):
        assert abs(counts[number] - 600 * share) < 4 * math.sqrt(600 * share * (1 - share)), number
    assert all(fits(thing.shape, thing.pattern, thing.motion) for scene in scenes for thing in scene.things)
    assert len({scene.ground.seed for scene in scenes}) == 600


def test_a_thing_is_unlike_the_others_and_mostly_keeps_clear_of_them():
    hidden = []
    for seed in range(300):
        others = flat_scene(seed).things
        if len(others) < 3:
            thing = flat_thing(np.random.default_rng(seed), others)
            taken = {word for other in others for word in (other.shape, other.colour)}
            assert thing.shape not in taken and thing.colour not in taken
            if len(others) == 1:
                hidden.append(overlap(thing, others[0]))
    assert np.mean(np.array(hidden) < 0.12) > 0.5 and np.mean(hidden) < 0.15, "a single draw: 0.2 and 0.3"
