"""Captions after an edit; those of the drawn world are what the world itself would say."""

import pytest

from vp_jax.edit.captions import edited_caption, negative_of_edit, region_caption
from vp_jax.edit.instruction import parse_instruction
from vp_jax.world.scene import caption
from vp_jax.world.synthetic import edit, make_scene

ONE = "a yellow spotted square pulses over brown dots"
TWO = "a red circle bounces and a blue striped square orbits over grey stripes"


@pytest.mark.parametrize(
    "original, instruction, expected",
    [
        (ONE, "make the square red", "a red spotted square pulses over brown dots"),
        (ONE, "make the square a green star", "a green star pulses over brown dots"),
        (ONE, "remove the yellow square", "brown dots"),
        (ONE, "add a red circle", "a yellow spotted square pulses and a red circle over brown dots"),
        (TWO, "remove the circle", "a blue striped square orbits over grey stripes"),
        (TWO, "remove the square", "a red circle bounces over grey stripes"),
        (TWO, "replace the blue square with a heart", "a red circle bounces and a heart orbits over grey stripes"),
        (TWO, "make the triangle red", None),
        (TWO, "remove the green circle", None),
        ("A dog runs on the beach.", "make the dog a fox", "a fox runs on the beach."),
        ("A dog runs on the beach.", "remove the dog", "the beach."),
        ("A man walks a dog in the park", "remove the dog", "A man walks in the park"),
        ("The red car drives by", "paint the car blue", "The blue car drives by"),
        ("A man walks in the park", "put a hat on the man", "A man walks in the park, with a hat on the man"),
        ("A cat and a dog sleep", "make the dog white", "A cat and a white dog sleep"),
    ],
)
def test_the_words_of_the_target_give_way(original, instruction, expected):
    assert edited_caption(original, parse_instruction(instruction)) == expected


def test_a_removal_in_the_drawn_world_gives_its_own_caption():
    for seed in range(40):
        scene = make_scene(seed)
        for number, thing in enumerate(scene.things):
            words = parse_instruction(f"remove the {thing.colour} {thing.shape}")
            assert edited_caption(caption(scene), words) == caption(edit(scene, "remove", number, 0).scene)


def test_the_region_and_what_must_not_be_seen():
    swap, removal = parse_instruction("make the old dog a fox"), parse_instruction("remove the dog")
    assert region_caption(swap, "nothing") == "a fox" and region_caption(removal, "nothing") == "nothing"
    assert negative_of_edit(swap) == "old dog" and negative_of_edit(removal) is None
    assert negative_of_edit(parse_instruction("replace the old dog with a young dog")) is None
