"""Edits of the drawn world by words: the scene, its masks and its first frame."""

import numpy as np
import pytest

from vp_jax.edit.instruction import parse_instruction
from vp_jax.edit.world import drawn_edit, drawn_frame, drawn_masks, named_thing, packaged_clip, world_masks
from vp_jax.errors import UserError
from vp_jax.world.scene import thing_caption


def edited(text):
    words = parse_instruction(text)
    return drawn_edit(packaged_clip(), words.operation, words.target, words.result)


@pytest.mark.parametrize(
    "text, caption",
    [
        ("make the square a red circle", "a cyan striped moon spins and a red circle sways over mint planks"),
        ("make the square a star", "a cyan striped moon spins and a yellow star sways over mint planks"),
        ("make the square blue", "a cyan striped moon spins and a blue striped square sways over mint planks"),
        ("make the square spotted", "a cyan striped moon spins and a yellow spotted square sways over mint planks"),
        ("remove the yellow thing", "a cyan striped moon spins over mint planks"),
    ],
)
def test_the_scene_is_what_the_words_say(text, caption):
    assert edited(text).prompt == caption


def test_an_addition_stands_beside_what_is_there():
    edit = edited("add a red circle")
    assert [thing_caption(edit.scene, n) for n in (1, 2)] == ["a yellow striped square", "a red circle"]


def test_nothing_outside_of_the_masks_changes():
    for text in ("make the square a red circle", "add a blue star", "remove the square"):
        edit, clip = edited(text), packaged_clip()
        hole_HW, frame_HWC = drawn_masks(clip, edit)[0], clip.read(np.arange(1))[0][0]
        changed_HW = (drawn_frame(clip, edit) != frame_HWC).any(axis=2)
        assert changed_HW.any() and not changed_HW[~hole_HW].any()


@pytest.mark.parametrize("text", ["make the square a fox", "add a dog", "make the square wooden"])
def test_what_the_world_does_not_have_is_one_line(text):
    with pytest.raises(UserError, match=r"the drawn world has no .*it has circle, square"):
        edited(text)


def test_a_change_that_changes_nothing_is_one_line():
    with pytest.raises(UserError, match=r"^the square is .*striped.* already: name another colour or pattern$"):
        edited("make the square striped")


def test_a_thing_that_is_not_there_is_one_line():
    scene = packaged_clip().scene
    assert named_thing(scene, "the yellow one") == 1 and world_masks(packaged_clip(), "square").any(axis=(1, 2)).all()
    with pytest.raises(
        UserError, match="no thing of that name in the clip, which shows a cyan striped moon, a yellow striped square"
    ):
        named_thing(scene, "the circle")
