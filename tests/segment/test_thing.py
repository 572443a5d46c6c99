import numpy as np

from tests.segment.shapes_film import RED, disc, film
from vp_jax.segment.background import Region
from vp_jax.segment.thing import TrackedThing, bounds
from vp_jax.segment.views import View

VIEW = View(0, film((RED, 30, 30, 0, 0), frames=1)[0][0])


def seen(box=None):
    return TrackedThing.seen(VIEW, disc(30, 30), box, None)


def update(thing, mask_HW):
    part = thing.part(VIEW.size)
    return thing.update(VIEW, part, mask_HW.astype(np.float32), mask_HW[part], mask_HW[part])


def test_bounds_are_the_smallest_rectangle():
    assert bounds(disc(30, 30)) == Region(slice(21, 40), slice(21, 40))
    assert bounds(np.zeros((5, 5), bool)).shape == (0, 0)


def test_the_box_of_a_prompt_is_kept():
    thing = seen(Region(slice(10, 50), slice(5, 55)))
    assert thing.centre.tolist() == [30, 30] and thing.size.tolist() == [50, 40]
    assert update(thing, disc(30, 30)) == 1
    assert np.abs(thing.centre - 30).max() < 0.5 and np.abs(thing.size - [50, 40]).max() < 1


def test_the_box_follows_and_learns_its_velocity():
    thing = seen()
    for number in range(1, 8):
        thing.centre = thing.centre + thing.velocity
        update(thing, disc(30 + 2 * number, 30))
    assert abs(thing.velocity[0] - 2) < 0.7 and abs(thing.velocity[1]) < 0.2
    assert abs(thing.centre[0] - 44) < 2


def test_a_small_rest_counts_as_missing_and_the_size_is_kept():
    thing = seen()
    size = thing.size.copy()
    assert update(thing, disc(30, 30, 2)) < 0.12 and thing.missing == 1
    update(thing, np.zeros_like(disc(0, 0)))
    assert thing.missing == 2 and np.array_equal(thing.size, size)
    update(thing, disc(36, 30))
    assert thing.missing == 0 and abs(thing.centre[0] - 36) < 1


def test_the_part_that_is_searched_ends_at_the_picture():
    thing = seen()
    thing.centre = np.array([2.0, 58.0])
    part = thing.part(VIEW.size)
    assert part.columns.start == 0 and part.rows.stop == 60
    thing.centre = np.array([500.0, 30.0])
    assert thing.part(VIEW.size).shape[1] == 0
