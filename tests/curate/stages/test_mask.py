"""Masks: each shot is tracked by itself, and statistics belong to the right thing and frames."""

import numpy as np
import pytest

from vp_jax.curate.labels_video import read_labels
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.curate.stages.mask import TrackMasks
from vp_jax.errors import UserError
from vp_jax.media.video_writer import write_video
from vp_jax.segment.tracking import Tracked

CALLS = []


def stand_still(frames, prompts):
    """Masks are the prompted boxes; things are lost on frame 1."""
    shot = list(frames())
    CALLS.append((len(shot), [(prompt.thing, prompt.frame) for prompt in prompts]))
    for number, frame_HWC in enumerate(shot):
        labels_HW = np.zeros(frame_HWC.shape[:2], np.uint8)
        for box in prompts:
            labels_HW[box.y : box.y + box.height, box.x : box.x + box.width] = box.thing
        lost = frozenset(box.thing for box in prompts) if number == 1 else frozenset()
        yield Tracked(number, labels_HW * (number != 1), {box.thing: 0.5 for box in prompts}, lost)


@pytest.fixture
def film(tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((12, 24, 32, 3), np.uint8), 8)
    boxes = [(1, 2, 4, 4, 8, 6, 1.0, ""), (2, 9, 0, 0, 16, 12, 1.0, "")]
    clip = ClipRecord("a", "a.mp4", frames=12, height=24, width=32, fps="8", cuts=[4, 8], boxes=boxes)
    return clip, StagePlace(tmp_path, tmp_path, "here")


def test_every_shot_with_boxes_is_tracked_by_itself(film):
    CALLS.clear()
    (found,) = TrackMasks(backend="tests.curate.stages.test_mask:stand_still").process(*film)
    labels_FHW = np.stack(list(read_labels(film[1].folder / "masks.mkv")))
    assert found.masks == "here/masks.mkv" and labels_FHW.shape == (12, 24, 32)
    assert CALLS == [(4, [(1, 2)]), (4, [(2, 1)])]
    assert [int(labels.max()) for labels in labels_FHW] == [1, 0, 1, 1, 0, 0, 0, 0, 2, 0, 2, 2]
    assert (labels_FHW[0] == 1).sum() == 48
    assert found.things["1"]["start"] == 0 and found.things["2"]["stop"] == 12
    assert found.things["2"]["area"] == pytest.approx(0.25) and found.things["1"]["lost"] == pytest.approx(0.25)


def find_words(frames, prompts):
    """A tracker that finds a thing by its words, everywhere."""
    for number, frame_HWC in enumerate(frames()):
        labels_HW = np.zeros(frame_HWC.shape[:2], np.uint8)
        labels_HW[: len(prompts[0].text)] = prompts[0].thing
        yield Tracked(number, labels_HW, {prompts[0].thing: 1.0}, frozenset())


def test_a_clip_without_boxes_is_tracked_by_its_tags(film):
    clip, place = film
    stage = TrackMasks(backend="tests.curate.stages.test_mask:find_words")
    (found,) = stage.process(clip.but(boxes=[], tags=["cat"]), place)
    assert {*found.things} == {"1", "2", "3"} and found.things["2"]["start"] == 4
    assert found.things["3"]["area"] == pytest.approx(3 / 24)


def pick(frames, prompts):
    """A tracker that refuses thing 1."""
    if any(prompt.thing == 1 for prompt in prompts):
        raise UserError("box of thing 1: nothing stands out")
    yield from stand_still(frames, prompts)


def test_a_thing_that_the_tracker_refuses_is_named_and_others_are_tracked(film):
    clip, place = film
    stage = TrackMasks("tests.curate.stages.test_mask:pick")
    one_shot = [(1, 0, 0, 0, 8, 6, 1.0, ""), (2, 1, 0, 0, 16, 12, 1.0, "")]
    (found,) = stage.process(clip.but(boxes=one_shot, cuts=[]), place)
    assert "thing 1: box of thing 1: nothing stands out" in found.models["mask"]
    assert found.things["1"]["lost"] == 1 and found.things["2"]["area"] == pytest.approx(0.25)
    with pytest.raises(UserError, match="no thing can be tracked: thing 1: box of thing 1"):
        stage.process(clip.but(boxes=one_shot[:1], cuts=[]), place)


def test_a_large_video_is_tracked_smaller_and_its_labels_stretched_back(film):
    clip, place = film
    (found,) = TrackMasks("tests.curate.stages.test_mask:stand_still", most_rows=12).process(*film)
    labels_FHW = np.stack(list(read_labels(place.folder / "masks.mkv")))
    assert labels_FHW.shape == (12, 24, 32) and found.things["2"]["area"] == pytest.approx(0.25)
    assert np.array_equal(np.argwhere(labels_FHW[0])[[0, -1]], [(4, 4), (9, 11)])


def test_the_embedded_tracker_follows_a_box(film):
    clip, place = film
    frames_FHWC = np.full((12, 24, 32, 3), 60, np.uint8)
    for number in range(12):
        frames_FHWC[number, 6:16, 4 + number : 14 + number] = (220, 60, 40)
    write_video(place.root / "a.mp4", frames_FHWC, 8)
    boxes = [(1, 0, 3, 5, 12, 12, 1.0, "")]
    (found,) = TrackMasks().process(clip.but(cuts=[], boxes=boxes), place)
    assert found.models["mask"] == "grabcut" and found.things["1"]["area"] == pytest.approx(100 / 768, rel=0.3)
