"""Contact sheets of the world: which pictures stand where."""

import numpy as np
import pytest
from PIL import Image

from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.world.looks import LOOKS, make_scene, render
from vp_jax.world.scene import caption
from vp_jax.world.sheet import TIMES_F, edit_rows, scene_row, sheet
from vp_jax.world.synthetic import possible


def test_the_sheet_command_draws(tmp_path):
    out = tmp_path / "world.png"
    run(["sheet", "world", str(out), "--scenes", "1", "--edits", "2", "--height", "32"])
    with Image.open(out) as picture:
        assert picture.size == (6 * (48 + 4) + 4, 7 * (32 + 15) + 4), "a scene, it before its edits, five edits"
    lit = out.read_bytes()
    run(["sheet", "world", str(out), "--scenes", "1", "--edits", "2", "--height", "32", "--look", "flat"])
    assert out.read_bytes() != lit
    with pytest.raises(UserError, match="look 'oil': expected one of flat, lit"):
        run(["sheet", "world", str(out), "--look", "oil"])
    with pytest.raises(UserError, match="none below 0"):
        run(["sheet", "world", str(out), "--scenes", "-4"])


@pytest.mark.parametrize("look", LOOKS)
def test_a_scene_is_its_frames_and_the_labels_of_the_middle_one(look):
    title, pictures = scene_row(3, 32, look)
    scene = make_scene(3, look)
    drawn = render(scene, TIMES_F, 32, 48)
    assert title == f"3: {caption(scene)}" and len(pictures) == 6
    np.testing.assert_array_equal(np.stack(pictures[:5]), drawn.frames_FHWC)
    for number, thing in enumerate(scene.things, start=1):
        assert (pictures[5][drawn.labels_FHW[2] == number] == LOOKS[look].rgb[thing.colour]).all()
    assert (pictures[5][drawn.labels_FHW[2] == 0] == 235).all()


@pytest.mark.parametrize("look", LOOKS)
def test_edits_follow_the_scene_and_end_with_their_hole_in_black(look):
    (title, before), *rows = edit_rows(2, 32, look)
    scene = make_scene(2, look)
    assert title == f"2: {caption(scene)}" and [t.split(":")[0] for t, _ in rows] == list(possible(scene))
    for _, (*after, masked) in rows:
        assert len(after) == len(before) == 5
        hole = (masked == 0).all(-1)
        assert hole.any()
        np.testing.assert_array_equal(masked[~hole], before[2][~hole])
        np.testing.assert_array_equal(after[2][~hole], before[2][~hole])


def test_pictures_stand_in_rows_under_their_titles():
    rows = [
        ("first", [np.full((8, 12, 3), value, np.uint8) for value in (10, 20, 30)]),
        ("second", [np.full((8, 12, 3), 40, np.uint8)]),
    ]
    image = np.asarray(sheet(rows, gap=4, text=15))
    assert image.shape == (2 * (8 + 15) + 4, 3 * (12 + 4) + 4, 3)
    for row, values in enumerate(((10, 20, 30), (40,))):
        for column, value in enumerate(values):
            top, left = row * 23 + 15, 4 + column * 16
            assert (image[top : top + 8, left : left + 12] == value).all()
    assert (image[23 + 15 :, 20:] == 255).all(), "a short row leaves white"
    assert (image[:15] < 255).any(), "a title"


@pytest.mark.parametrize("flags", [["--height=481"], ["--height=15"], ["--scenes", *map(str, range(101))]])
def test_a_sheet_that_no_memory_holds_is_refused(tmp_path, flags):
    with pytest.raises(UserError, match="1 to 100 seeds, none below 0, and a height of 16 to 480"):
        run(["sheet", "world", str(tmp_path / "x.png"), *flags])
