import numpy as np
import pytest

from tests.segment.shapes_film import BLUE, RED, film
from vp_jax.errors import UserError
from vp_jax.segment.agreement import region_j
from vp_jax.segment.prompts import Box, FirstMask, Point, Words
from vp_jax.segment.tracking import track


def around(x, y, frame=0, thing=1):
    return Box(x - 12, y - 12, 24, 24, frame, thing)


def tracked(pictures, prompts):
    return list(track(lambda: iter(pictures), prompts))


def test_a_moving_disc_is_followed_from_one_box():
    pictures, masks = film((RED, 20, 30, 3, 0))
    found = tracked(pictures, [around(20, 30)])
    assert [one.frame for one in found] == list(range(12))
    assert min(region_j(one.labels_HW == 1, own) for one, (own,) in zip(found, masks)) > 0.85
    assert min(one.confidence[1] for one in found) > 0.7 and not any(one.lost for one in found)


def test_a_box_on_the_last_frame_is_followed_backwards():
    pictures, masks = film((RED, 20, 30, 3, 0), frames=6)
    found = tracked(pictures, [around(35, 30, frame=5)])
    assert min(region_j(one.labels_HW == 1, own) for one, (own,) in zip(found, masks)) > 0.85


def test_two_things_have_two_labels_also_where_one_passes_in_front():
    pictures, masks = film((BLUE, 45, 30, 0, 0), (RED, 14, 22, 5, 0))
    found = tracked(pictures, [around(45, 30, thing=1), around(14, 22, thing=2)])
    for thing in (1, 2):
        scores = [region_j(one.labels_HW == thing, own[thing - 1]) for one, own in zip(found, masks)]
        assert np.mean(scores) > 0.8, scores


def test_a_thing_that_is_covered_is_lost_and_found_again():
    pictures, masks = film((RED, 15, 30, 4, 0), frames=14)
    for picture, (own,) in zip(pictures, masks):
        picture[:, 30:52] = (30, 120, 60)
        own[:, 30:52] = False
    found = tracked(pictures, [around(15, 30)])
    hidden = [number for number, (own,) in enumerate(masks) if not own.any()]
    assert hidden and all(not (found[number].labels_HW == 1).any() for number in hidden)
    assert any(1 in found[number].lost for number in hidden)
    assert region_j(found[-1].labels_HW == 1, masks[-1][0]) > 0.7


def test_a_point_on_a_later_frame_adds_to_a_track():
    pictures, masks = film((RED, 20, 18, 2, 0), (BLUE, 60, 40, -2, 0), frames=8)
    found = tracked(pictures, [around(20, 18), Point(52, 40, frame=4)])
    assert not (found[3].labels_HW[masks[3][1]] == 1).any()
    both = [mask[0] | mask[1] for mask in masks]
    assert min(region_j(found[number].labels_HW == 1, both[number]) for number in (4, 5, 6, 7)) > 0.8


def test_a_first_mask_is_the_first_result():
    pictures, masks = film((RED, 20, 30, 3, 0), frames=3)
    found = tracked(pictures, [FirstMask(masks[0][0])])
    assert np.array_equal(found[0].labels_HW == 1, masks[0][0])


def test_a_frame_larger_than_tracking_works_at_has_masks_of_its_own_size(monkeypatch):
    monkeypatch.setattr("vp_jax.segment.views.WORKING_PIXELS", 2000)
    pictures, masks = film((RED, 20, 30, 3, 0), frames=3)
    found = tracked(pictures, [around(20, 30)])
    assert found[-1].labels_HW.shape == (60, 90) and region_j(found[-1].labels_HW == 1, masks[-1][0]) > 0.75


def test_a_colour_word_is_understood_and_other_words_are_not():
    pictures, masks = film((RED, 20, 30, 3, 0), (BLUE, 60, 30, 0, 0), frames=3)
    found = tracked(pictures, [Words("the blue ball")])
    assert region_j(found[-1].labels_HW == 1, masks[-1][1]) > 0.85
    with pytest.raises(UserError, match="one colour"):
        tracked(pictures, [Words("the ball")])


def test_a_box_with_nothing_in_it_is_named_in_pixels_of_the_video():
    """Large pictures are tracked at a smaller size."""
    grey = np.full((600, 1000, 3), 128, np.uint8)
    with pytest.raises(UserError, match=r"box 200,220,100,80: nothing in it stands out"):
        tracked([grey, grey], [Box(200, 220, 100, 80)])
