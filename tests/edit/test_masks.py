"""Where an edit happens."""

import numpy as np
import pytest

from vp_jax.edit.masks import first_hole, mask_file
from vp_jax.edit.world import packaged_clip, world_masks
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video
from vp_jax.segment.agreement import region_j
from vp_jax.segment.results import Tracked
from vp_jax.world.looks import render
from vp_jax.world.synthetic import HELD_OUT, World, masked_thing


@pytest.fixture
def video():
    frames_FHWC, _ = packaged_clip().read(np.arange(3))
    return Video(frames_FHWC)


def test_a_file_is_taken_as_it_is(tmp_path, video):
    (tmp_path / "m.png").touch()
    assert mask_file(str(tmp_path / "m.png"), "", video, tmp_path / "out.mkv") == tmp_path / "m.png"


def test_a_still_area_is_written_and_read_back(tmp_path, video):
    path = mask_file("area:10,20,30,8", "", video, tmp_path / "out.mkv")
    holes_FHW = Mask.read(path, like=video).holes_FHW
    assert path == tmp_path / "out_mask.mkv" and holes_FHW.shape == (3, 64, 96)
    assert holes_FHW[:, 20:28, 10:40].all() and holes_FHW.sum() == 3 * 30 * 8
    assert first_hole(path, video).sum() == 30 * 8


@pytest.mark.parametrize(
    "mask, target, line",
    [
        ("area:90,0,10,10", "", "within 96x64 pixels"),
        ("area:0,0,0,10", "", "within 96x64 pixels"),
        ("missing.png", "", "missing.png: no such file"),
        ("some/folder", "", "no such file"),
        (None, " ", "mask: where"),
        (
            None,
            "the dog",
            r"where is 'the dog'\? .* one colour; give `mask`, a `segmenter` that reads words, or a model",
        ),
        ("box:200,0,9,9", "", "box 200,0,9,9: lies outside the frame of 96x64"),
    ],
)
def test_nowhere_is_one_line(tmp_path, video, mask, target, line):
    with pytest.raises(UserError, match=line):
        mask_file(mask, target, video, tmp_path / "out.mkv")


def test_a_colour_finds_the_target_of_any_video_and_what_was_tracked_is_said(tmp_path, video):
    said = []
    path = mask_file(None, "the yellow thing", video, tmp_path / "out.mkv", note=said.append)
    labels_FHW = render(packaged_clip().scene, np.arange(3), 64, 96).labels_FHW
    assert region_j(Mask.read(path).holes_FHW[0], labels_FHW[0] == 2) > 0.9, "the second thing, without its shadow"
    assert len(said) == 1 and said[0].startswith("3 frames tracked, mean confidence")


def test_a_segmenter_is_named_with_its_weights(tmp_path, video, monkeypatch):
    asked = []
    found = (Tracked(n, np.ones((64, 96), np.uint8), {1: 1.0}, frozenset()) for n in range(3))
    monkeypatch.setattr("vp_jax.edit.masks.track", lambda *args, **options: asked.append((args[2], options)) or found)
    mask_file(None, "the dog", video, tmp_path / "out.mkv", segmenter="sam3_video:weights/sam3")
    assert asked == [("sam3_video", {"weights": "weights/sam3"})]


def test_words_find_things_of_the_drawn_world(tmp_path, video):
    clip = packaged_clip()
    path = mask_file(None, "the square", video, tmp_path / "out.mkv", clip=clip)
    holes_FHW = Mask.read(path).holes_FHW
    np.testing.assert_array_equal(holes_FHW, world_masks(clip, "the yellow one"))
    _, thing_FHW = clip.read(np.arange(clip.frames))
    assert holes_FHW[thing_FHW > 0].all()


def test_words_that_fit_no_thing_or_several_are_one_line():
    clips = World(60, 9, 64, 96, first=HELD_OUT)
    clip = next(c for c in clips if sum(t.pattern == "striped" for t in c.scene.things) == 2)
    with pytest.raises(UserError, match="several things of that name in the clip, which shows a"):
        world_masks(clip, "the striped thing")
    with pytest.raises(UserError, match="no thing of that name"):
        world_masks(clip, "the dog")
    thing = clip.scene.things[masked_thing(clip.scene, clip.seed, clip.frames)]
    assert world_masks(clip, f"the {thing.colour} {thing.shape}").any(axis=(1, 2)).all()
