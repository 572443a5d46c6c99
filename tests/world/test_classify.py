"""The classifier of colour and shape, on pictures whose truth is known."""

import numpy as np
import pytest
from PIL import Image

from vp_jax.media.masks import dilate
from vp_jax.world.classify import Seen, classify
from vp_jax.world.edit import edit, edit_masks
from vp_jax.world.looks import make_scene, render
from vp_jax.world.synthetic import HELD_OUT, masked_thing

SCENES, FRAMES = 200, np.arange(0, 17, 2)


@pytest.fixture(scope="module")
def truths():
    """Name of the masked thing, frames, and its mask with its shadow, of each of 200 held-out scenes."""
    found = []
    for seed in range(HELD_OUT, HELD_OUT + SCENES):
        scene = make_scene(seed, "lit")
        index = masked_thing(scene, seed, 17)
        drawn, thing = render(scene, FRAMES, 64, 96), scene.things[index]
        found.append((scene, index, Seen(thing.colour, thing.shape), drawn, dilate(drawn.reach(index) > 0, 2)))
    return found


def right(seen, truth, name):
    return np.mean([s is not None and getattr(s, name) == getattr(t, name) for s, t in zip(seen, truth)])


@pytest.mark.parametrize("name", ["colour", "shape"])
def test_colours_and_shapes_are_named_in_95_of_100_held_out_scenes(truths, name):
    seen = [classify(drawn.frames_FHWC, region) for _, _, _, drawn, region in truths]
    assert right(seen, [truth for _, _, truth, _, _ in truths], name) >= 0.95


@pytest.mark.parametrize("name, least", [("colour", 0.95), ("shape", 0.85)])
def test_blurred_pictures_are_named_too(truths, name, least):
    """Pictures that went through half of the size: what a small model makes is not sharp."""

    def blurred(frame):
        half = Image.fromarray(frame).resize((48, 32), Image.Resampling.BILINEAR)
        return np.asarray(half.resize((96, 64), Image.Resampling.BILINEAR))

    some = truths[::4]
    seen = [classify(np.stack([blurred(frame) for frame in drawn.frames_FHWC]), region) for *_, drawn, region in some]
    assert right(seen, [truth for _, _, truth, _, _ in some], name) >= least


def test_a_removed_thing_is_not_seen(truths):
    for scene, index, truth, _, region in truths[::4]:
        gone = render(edit(scene, "remove", index, 0).scene, FRAMES, 64, 96)
        seen = classify(gone.frames_FHWC, region)
        assert seen is None or seen.colour != truth.colour
        if len(scene.things) == 1:
            assert seen is None


@pytest.mark.parametrize("operation", ["change", "shape", "swap", "add"])
def test_an_edited_thing_is_named_in_the_hole_of_its_edit(operation):
    asked, seen = [], []
    for seed in range(HELD_OUT + 1000, HELD_OUT + 1040):
        scene = make_scene(seed, "lit")
        if operation == "add" and len(scene.things) == 3:
            continue
        done = edit(scene, operation, masked_thing(scene, seed, 17), seed)
        before, after = (render(s, FRAMES, 64, 96) for s in (scene, done.scene))
        thing = done.scene.things[done.thing]
        asked.append(Seen(thing.colour, thing.shape))
        seen.append(classify(after.frames_FHWC, dilate(edit_masks(before, after, done) > 0, 2)))
    assert right(seen, asked, "colour") >= 0.9 and right(seen, asked, "shape") >= 0.9


def test_a_background_is_nothing():
    for seed in range(12):
        scene = make_scene(seed, "lit")
        for _ in scene.things:
            scene = edit(scene, "remove", 0, 0).scene
        frames = render(scene, FRAMES, 64, 96).frames_FHWC
        assert classify(frames, np.ones(frames.shape[:3], bool)) is None
