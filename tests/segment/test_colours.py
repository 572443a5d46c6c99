import numpy as np

from tests.segment.shapes_film import RED, film
from vp_jax.segment.background import Region
from vp_jax.segment.colours import Appearance, features_of, told_apart
from vp_jax.segment.views import View

PICTURES, MASKS = film((RED, 30, 30, 0, 0), frames=1)
PART = Region(slice(10, 50), slice(10, 50))
FEATURES = features_of(View(0, PICTURES[0]).lab_HWC, PART, np.array([30.0, 30.0]), 20.0)
INSIDE = MASKS[0][0][PART]


def test_features_are_colour_and_place():
    assert FEATURES.shape == (40, 40, 5)
    assert np.allclose(FEATURES[20, 20, 3:], 0) and FEATURES[20, 30, 3] > 0 > FEATURES[10, 20, 4]


def test_samples_tell_thing_and_surroundings_apart():
    colours = Appearance()
    assert not colours.odds(FEATURES).any(), "nothing is known yet"
    colours.begin(FEATURES, INSIDE)
    odds = colours.odds(FEATURES)
    assert (odds[INSIDE] > 0).mean() > 0.95 and (odds[~INSIDE] < 0).mean() > 0.95
    assert np.abs(odds).max() <= 2.5


def test_what_was_learned_first_stays():
    colours = Appearance()
    colours.begin(FEATURES, INSIDE)
    for _ in range(10):
        colours.learn(FEATURES[::-1] * 0.5, INSIDE, ~INSIDE)
    assert (colours.odds(FEATURES)[INSIDE] > 0).mean() > 0.9


def test_a_thing_of_its_own_colour_is_told_apart_and_a_part_of_the_ground_is_not():
    assert told_apart(FEATURES, INSIDE) > 0.97
    ground = FEATURES[25:][:, :15]
    assert told_apart(ground, np.arange(15)[None] + np.zeros((15, 1)) < 7) < 0.9
    assert told_apart(FEATURES, np.zeros_like(INSIDE)) == 1
