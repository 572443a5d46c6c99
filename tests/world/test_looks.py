"""Looks: each complete, chosen by name, with the words of its captions."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.world.looks import DEFAULT_LOOK, LOOKS, caption_words, check_look, make_scene, render
from vp_jax.world.scene import COLOURS


def test_the_default_is_the_look_of_the_packaged_model():
    assert DEFAULT_LOOK == "lit" and make_scene(3) == make_scene(3, "lit") != make_scene(3, "flat")


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_complete(look):
    scene = make_scene(5, look)
    assert scene.look == look and scene == LOOKS[look].scene(5) and scene.ground.kind in LOOKS[look].grounds
    assert tuple(LOOKS[look].rgb) == COLOURS
    thing = LOOKS[look].thing(np.random.default_rng(0), scene.things)
    assert thing.colour not in {other.colour for other in scene.things}
    drawn = render(scene, np.array([0.0, 4.0]), 32, 48)
    assert drawn.frames_FHWC.shape == (2, 32, 48, 3) and drawn.frames_FHWC.dtype == np.uint8
    for maps in (drawn.labels_FHW, drawn.touched_FHW, drawn.reached_FHW):
        assert maps.shape == (2, 32, 48) and maps.dtype == np.uint8
    for index in range(len(scene.things)):
        mask, reach = drawn.mask(index), drawn.reach(index)
        assert mask[drawn.labels_FHW == index + 1].all() and reach[mask == 1].all()


def test_flat_things_throw_no_shadow():
    drawn = render(make_scene(5, "flat"), np.array([0.0]), 32, 48)
    np.testing.assert_array_equal(drawn.touched_FHW, drawn.reached_FHW)


def test_looks_share_all_words_but_those_of_backgrounds():
    assert caption_words("lit") - caption_words("flat") == {"tiles", "planks", "bricks", "checks"}
    assert caption_words("flat") - caption_words("lit") == {"clouds", "stripes", "dots", "waves", "sky"}


def test_an_unknown_look_is_one_line():
    check_look("lit")
    for call in (check_look, caption_words, lambda look: make_scene(0, look)):
        with pytest.raises(UserError, match=r"^look 'oil': expected one of flat, lit$"):
            call("oil")
    with pytest.raises(UserError, match=r"^data\.look 'oil'"):
        check_look("oil", "data.look")
