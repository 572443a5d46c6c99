import numpy as np

from tests.segment.test_background import panned
from vp_jax.segment.agreement import region_j
from vp_jax.segment.background import Background
from vp_jax.segment.flow import flows_between
from vp_jax.segment.following import follow, kept_parts
from vp_jax.segment.thing import TrackedThing
from vp_jax.segment.views import with_neighbours


def test_a_thing_without_a_colour_of_its_own_is_followed_by_its_movement():
    frames, mask_HW = panned()
    thing, background, scores = None, Background(), []
    for window in with_neighbours(frames, 9):
        if thing is None:
            thing, before = TrackedThing.seen(window.now, mask_HW, None, None), window.now
            thing.apart = 0.0
            continue
        confidence = follow(thing, window, flows_between(window.now.grey_HW, before.grey_HW), background)
        scores.append(region_j(thing.soft_HW > 0.5, mask_HW))
        assert confidence > 0.5
        before = window.now
    assert min(scores) > 0.75, scores


def test_specks_and_parts_of_the_ground_are_left_out():
    mask = np.zeros((20, 30), bool)
    mask[2:10, 2:10] = mask[12:18, 20:28] = mask[0, 29] = True
    moving, odds = np.ones((20, 30)), np.ones((20, 30))
    assert kept_parts(mask, moving, odds, 60).sum() == 64 + 48
    moving[12:18, 20:28] = -1
    assert kept_parts(mask, moving, odds, 60).sum() == 64
    odds[2:10, 2:10] = -1
    assert not kept_parts(mask, moving, odds, 60).any()
