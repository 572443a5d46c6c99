"""Edits: exact outside of their hole, exact in what they say, refused in one line."""

import dataclasses

import numpy as np
import pytest

from tests.world.scenes import TIMES, scene_of, still
from vp_jax.errors import UserError
from vp_jax.world.edit import OPERATIONS, edit, edit_masks, possible
from vp_jax.world.looks import LOOKS, make_scene, render
from vp_jax.world.scene import caption

HOLES = range(12)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("seed", HOLES)
@pytest.mark.parametrize("look", LOOKS)
def test_outside_of_its_hole_an_edit_changes_no_bit(look, seed, operation):
    scene = make_scene(seed, look)
    if operation not in possible(scene):
        assert operation == "add" and len(scene.things) == 3
        with pytest.raises(UserError, match="already has 3 things"):
            edit(scene, operation, 0, seed)
        return
    for thing in range(len(scene.things)):
        done = edit(scene, operation, thing, seed)
        before, after = render(scene, TIMES, 64, 96), render(done.scene, TIMES, 64, 96)
        hole = edit_masks(before, after, done) == 1
        np.testing.assert_array_equal(before.frames_FHWC[~hole], after.frames_FHWC[~hole])
        assert 0 < hole.mean() < 0.5
        assert np.abs(before.frames_FHWC[hole].astype(int) - after.frames_FHWC[hole]).mean() > 5, "it shows"
        assert done.prompt == caption(done.scene) != caption(scene)


@pytest.mark.parametrize("seed", HOLES)
@pytest.mark.parametrize("look", LOOKS)
def test_edits_change_what_they_say_and_nothing_else(look, seed):
    scene = make_scene(seed, look)
    thing = len(scene.things) - 1
    old, looks = scene.things[thing], ("shape", "colour", "pattern")
    for operation, differs in (("change", {"colour"}), ("shape", {"shape"}), ("swap", set(looks))):
        done = edit(scene, operation, thing, seed)
        new = done.scene.things[thing]
        assert {name for name in looks if getattr(new, name) != getattr(old, name)} == differs
        assert dataclasses.replace(new, **{name: getattr(old, name) for name in looks}) == old, "moves the same way"
        assert done.thing == thing and done.scene.things[:thing] == scene.things[:thing]
        assert edit(scene, operation, thing, seed) == done
    removed = edit(scene, "remove", thing, seed)
    assert removed.scene.things == scene.things[:-1] and removed.thing == thing
    if "add" in possible(scene):
        added = edit(scene, "add", thing, seed)
        assert added.scene.things[:-1] == scene.things and added.thing == len(scene.things)
    assert len({edit(scene, "swap", thing, draw).prompt for draw in range(12)}) > 4
    assert all(edit(scene, name, thing, seed).scene.ground == scene.ground for name in possible(scene))


def test_wrong_edits_are_said_in_one_line():
    scene = make_scene(0)
    with pytest.raises(UserError, match="edit 'paint': expected one of change, shape, add, remove, swap"):
        edit(scene, "paint", 0, 0)
    with pytest.raises(UserError, match="thing 7: the scene has"):
        edit(scene, "change", 7, 0)
    empty = edit(scene_of(still()), "remove", 0, 0)
    assert empty.scene.things == () and possible(empty.scene) == ("add",) and empty.prompt == "grey clouds"


def test_a_hole_holds_the_thing_as_it_was_and_as_it_is():
    """A ring that becomes a square: what either of the two covers; of a removed thing all it was."""
    scene = scene_of(still(shape="ring"), still(colour="blue", shape="star", x=0.5, y=0.2))
    done = edit(scene, "shape", 0, 3)
    before, after = render(scene, TIMES, 64, 96), render(done.scene, TIMES, 64, 96)
    np.testing.assert_array_equal(edit_masks(before, after, done), before.mask(0) | after.mask(0))
    gone = edit(scene, "remove", 0, 3)
    without = render(gone.scene, TIMES, 64, 96)
    np.testing.assert_array_equal(edit_masks(before, without, gone), before.mask(0))
    more = edit(scene, "add", 0, 3)
    with_more = render(more.scene, TIMES, 64, 96)
    np.testing.assert_array_equal(edit_masks(before, with_more, more), with_more.mask(2))


def test_seeds_and_operations_draw_apart():
    scene = make_scene(5)
    swaps = {edit(scene, "swap", 0, seed).prompt for seed in range(20)}
    assert len(swaps) > 8
    changed = [edit(scene, "change", 0, seed).scene.things[0].colour for seed in range(40)]
    others = {thing.colour for thing in scene.things}
    assert len(set(changed)) == 8 - len(others) and not set(changed) & others, "every other colour comes up"


def test_a_hole_holds_the_shadow_where_the_shadow_changes():
    """A thing of another colour throws the same shadow; one of another shape, a new one and a missing one do not."""
    scene = scene_of(still(shape="ring"), still(colour="blue", shape="star", x=0.5, y=0.2), look="lit")
    before = render(scene, TIMES, 64, 96)
    for operation in OPERATIONS:
        done = edit(scene, operation, 0, 3)
        after = render(done.scene, TIMES, 64, 96)
        hole, thing = edit_masks(before, after, done), done.thing
        if operation == "change":
            np.testing.assert_array_equal(hole, before.mask(thing))
            continue
        parts = [
            drawn.reach(thing)
            for drawn, there in ((before, operation != "add"), (after, operation != "remove"))
            if there
        ]
        np.testing.assert_array_equal(hole, np.bitwise_or.reduce(parts))
        assert (hole > before.mask(0)).any()
