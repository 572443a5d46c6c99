import numpy as np
import pytest

from tests.segment.shapes_film import BLUE, RED, film
from vp_jax.errors import UserError
from vp_jax.media.masks import read_masks
from vp_jax.media.video_writer import write_video
from vp_jax.segment.agreement import region_j
from vp_jax.segment.mask_files import prompt_of, write_masks
from vp_jax.segment.prompts import Box, Point, Words
from vp_jax.segment.refine import Refinement
from vp_jax.segment.results import Tracked

PICTURES, MASKS = film((RED, 20, 30, 3, 0), (BLUE, 66, 20, 0, 1), frames=6)
RED_BOX, BLUE_BOX = Box(8, 18, 24, 24), Box(54, 8, 24, 24, thing=2)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    write_video(path, PICTURES, 8)
    return path


def test_the_written_mask_is_read_back_as_holes(video, tmp_path):
    report = write_masks(video, [RED_BOX], tmp_path / "mask.mkv")
    holes_FHW = read_masks(tmp_path / "mask.mkv")
    assert min(region_j(hole, own[0]) for hole, own in zip(holes_FHW, MASKS)) > 0.85
    assert report.frames == 6 and report.lines() == [f"6 frames tracked, mean confidence {report.confidence[1]:.2f}"]


def test_things_are_written_together_or_one_alone(video, tmp_path):
    report = write_masks(video, [RED_BOX, BLUE_BOX], tmp_path / "both.mkv")
    assert report.things == (1, 2) and report.lines()[1].startswith("thing 2: 6 frames")
    write_masks(video, [RED_BOX, BLUE_BOX], tmp_path / "blue", only=[2], refinement=Refinement(invert=True))
    both, blue = read_masks(tmp_path / "both.mkv"), ~read_masks(tmp_path / "blue")
    assert region_j(blue[-1], MASKS[-1][1]) > 0.85 and both[-1].sum() > blue[-1].sum() + 100


def test_frames_before_the_start_are_empty(video, tmp_path):
    write_masks(video, [Box(14, 18, 24, 24, frame=2)], tmp_path / "mask.mkv", start=2, stop=5)
    holes_FHW = read_masks(tmp_path / "mask.mkv")
    assert [bool(hole.any()) for hole in holes_FHW] == [False, False, True, True, True]
    assert region_j(holes_FHW[2], MASKS[2][0]) > 0.85


@pytest.mark.parametrize(
    "prompts, options, words",
    [
        ([RED_BOX], {"only": [3]}, "thing 3: there is no prompt"),
        ([RED_BOX], {"start": 2}, "lies before start 2"),
        ([Words("a fox")], {}, "one colour"),
    ],
)
def test_what_cannot_be_tracked_is_refused_and_nothing_is_written(video, tmp_path, prompts, options, words):
    with pytest.raises(UserError, match=words):
        write_masks(video, prompts, tmp_path / "mask.mkv", **options)
    assert not (tmp_path / "mask.mkv").exists()


@pytest.mark.parametrize("refinement, words", [(Refinement(shrink=30), "nothing is left"), (None, "nothing was found")])
def test_an_empty_mask_does_not_take_the_place_of_a_good_one(video, tmp_path, monkeypatch, refinement, words):
    write_masks(video, [RED_BOX], tmp_path / "mask.mkv")
    before = (tmp_path / "mask.mkv").read_bytes()
    if refinement is None:
        lost = (Tracked(n, np.zeros((60, 90), np.uint8), {1: 0.0}, frozenset([1])) for n in range(6))
        monkeypatch.setattr("vp_jax.segment.mask_files.track", lambda *args, **options: lost)
    with pytest.raises(UserError, match=words):
        write_masks(video, [RED_BOX], tmp_path / "mask.mkv", refinement=refinement)
    assert (tmp_path / "mask.mkv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mask.mkv"]


def test_a_lossy_format_is_refused(video, tmp_path):
    with pytest.raises(UserError, match=r"expected \.mkv"):
        write_masks(video, [RED_BOX], tmp_path / "mask.mp4")


def test_a_text_means_a_frame_of_its_own_or_the_first_one():
    assert prompt_of("points:3,4", frame=7) == [Point(3, 4, True, 7)]
    assert prompt_of("points:3,4@9", frame=7) == [Point(3, 4, True, 9)]
    assert prompt_of("the red car", frame=7) == [Words("the red car")]
