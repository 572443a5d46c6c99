"""Boxes: one thing per track of boxes, in every shot that can become a clip."""

import cv2
import numpy as np
import pytest

from tests.curate.drawn_sources import scene_frames
from vp_jax.curate.proposals import overlap_of
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.stages import box
from vp_jax.curate.stages.box import ProposeBoxes, ShotLook
from vp_jax.errors import UserError
from vp_jax.media.video_writer import write_video


def words_boxes(frame_HWC, tags):
    """A detector as a plug-in."""
    return [(4, 5, 20, 10, 0.5, tag) for tag in tags] + [(0, 0, 1, 1, 1.0, "tiny")]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    shots = [scene_frames(seed, 24, 48, 72)[0] for seed in (3, 4)]
    write_video(folder / "a.mp4", np.concatenate([*shots, shots[0][:4]]), 8)
    return ClipRecord("a", "a.mp4", frames=52, height=48, width=72, fps="8", cuts=[24, 48]), StagePlace(
        folder, folder, ""
    )


def test_things_are_numbered_through_all_shots_that_are_long_enough(film):
    clip, place = film
    (found,) = ProposeBoxes(least_seconds=2.0).process(clip, place)
    shots = [box[1] // 24 for box in found.boxes]
    assert {*shots} == {0, 1} and [box[0] for box in found.boxes] == list(range(1, len(shots) + 1))
    assert all(0 <= box[2] and box[2] + box[4] <= 72 and box[3] + box[5] <= 48 for box in found.boxes)


def test_no_shot_that_is_long_enough_has_nothing_to_mask(film):
    with pytest.raises(Dropped, match="nothing to mask"):
        ProposeBoxes().process(*film)


def test_a_detector_gets_the_tags_and_gives_words(film):
    clip, place = film
    stage = ProposeBoxes(model="tests.curate.stages.test_box:words_boxes", least_seconds=2.0)
    (found,) = stage.process(clip.but(tags=["cat"]), place)
    assert {tuple(box[2:6]) + (box[7],) for box in found.boxes} == {(4, 5, 20, 10, "cat")}
    assert found.models["box"].endswith("words_boxes")


def test_words_leave_the_search_to_the_tracker(film):
    clip, place = film
    assert ProposeBoxes(model="words").process(clip.but(tags=["cat"]), place) == [clip.but(tags=["cat"])]


def test_an_unknown_model_is_named(film):
    with pytest.raises(UserError, match="expected proposals, grounding_dino, words or package"):
        ProposeBoxes(model="yolo").process(*film)


def test_grounding_dino_sees_all_looks_of_a_shot_together(film, monkeypatch):
    calls = []

    class Fake:
        def __init__(self, weights, threshold):
            assert (weights, threshold) == ("folder", 0.2)

        def boxes_of(self, frames, words_of_frames):
            (words,) = {tuple(words) for words in words_of_frames}
            calls.append((len(frames), [*words]))
            return [[(4.6, 5.0, 20.0, 16.0, 0.9, "fox"), (0.0, 0.0, 1.0, 1.0, 0.8, "speck")] for _ in frames]

    monkeypatch.setattr(box, "detector_of", Fake)
    clip, place = film
    stage = ProposeBoxes(model="grounding_dino", weights="folder", threshold=0.2, interval=1.0, least_seconds=2.0)
    (found,) = stage.process(clip.but(tags=["fox", "dog"]), place)
    assert calls and all(count > 1 and words == ["fox", "dog"] for count, words in calls)
    assert all(one[2:6] == (4, 5, 20, 16) and one[7] == "fox" for one in found.boxes)
    assert found.models["box"] == "grounding_dino folder"


def test_grounding_dino_sees_clips_of_one_size_together(film, monkeypatch):
    calls = []

    class Fake:
        def boxes_of(self, frames, words):
            calls.append([frame_HWC.shape[0] for frame_HWC in frames])
            return [[(0.0, 0.0, frame_HWC.shape[0], 8.0, 0.9, own[0])] for frame_HWC, own in zip(frames, words)]

    small, large = np.zeros((4, 6, 3), np.uint8), np.zeros((8, 6, 3), np.uint8)
    looks = [ShotLook([small] * 2, ["a"]), ShotLook([large], ["b"]), ShotLook([small], ["c"])]
    found = ProposeBoxes(model="grounding_dino").answers(Fake(), looks)
    assert calls == [[4, 4, 4], [8]]
    assert [[box[2:6:3] for (box,) in boxes] for boxes in found] == [[(4, "a"), (4, "a")], [(8, "b")], [(4, "c")]]


def test_a_thing_is_boxed_where_it_moves_while_the_camera_pans(tmp_path):
    ground = cv2.resize(np.random.default_rng(0).integers(30, 220, (30, 60, 3), np.uint8), (420, 210))
    frames = np.stack([ground[10:170, 10 + 4 * number : 250 + 4 * number] for number in range(20)])
    for number, frame_HWC in enumerate(frames):
        frame_HWC[60:100, 60 + number : 110 + number] = ground[:40, :50]
    write_video(tmp_path / "a.mp4", frames, 8)
    clip = ClipRecord("a", "a.mp4", frames=20, height=160, width=240, fps="8")
    (found,) = ProposeBoxes(least_seconds=2.0, most_things=1).process(clip, StagePlace(tmp_path, tmp_path, ""))
    ((_, number, *box, _, _),) = found.boxes
    assert overlap_of(box, (60 + number, 60, 50, 40)) > 0.5
