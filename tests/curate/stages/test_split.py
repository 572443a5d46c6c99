"""Splitting: pieces keep the masks of their frames and the things of their shot."""

import numpy as np
import pytest

from vp_jax.curate.labels_video import read_labels, write_labels
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.stages.split import SplitClips
from vp_jax.media.video_writer import write_video


@pytest.fixture
def film(tmp_path):
    frames_FHWC = np.zeros((30, 16, 24, 3), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None, None] * 8
    labels_FHW = np.zeros((30, 16, 24), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None]
    write_video(tmp_path / "a.mp4", frames_FHWC, 2)
    write_labels(tmp_path / "m.mkv", labels_FHW, 2)
    things = {"1": {"start": 0, "stop": 26}, "2": {"start": 26, "stop": 30}}
    boxes = [(1, 20, 0, 0, 4, 4, 1.0, "")]
    clip = ClipRecord("a", "a.mp4", frames=30, fps="2", cuts=[26], masks="m.mkv", things=things, boxes=boxes, stop=30)
    return clip, StagePlace(tmp_path, tmp_path, "here")


def test_pieces_keep_masks_things_and_boxes_of_their_frames(film):
    clip, place = film
    first, second = SplitClips(piece_seconds=7.0, least_seconds=6.0).process(clip, place)
    assert [(piece.start, piece.stop, piece.frames) for piece in (first, second)] == [(0, 14, 14), (14, 26, 12)]
    assert second.name == "a[14:26]" and second.video == "here/piece_1.mp4" and second.cuts == ()
    assert {*second.things} == {"1"} and second.boxes == [(1, 6, 0, 0, 4, 4, 1.0, "")]
    labels = [int(labels_HW[0, 0]) for labels_HW in read_labels(place.root / "masks_1.mkv")]
    assert labels == list(range(14, 26))


def test_what_is_too_short_or_has_no_thing_is_named(film):
    clip, place = film
    with pytest.raises(Dropped, match=r"2 shots, the longest has 13\.0 s of 20 s"):
        SplitClips(least_seconds=20.0).process(clip, place)
    with pytest.raises(Dropped, match="no piece has a masked thing"):
        SplitClips().process(clip.but(things={"2": {"start": 26, "stop": 30}}), place)
