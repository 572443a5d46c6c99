"""Videos to pictures, marks and files to masks, in the process that works for the server."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.serve.drawn import disc_film, picture
from vp_jax.errors import UserError
from vp_jax.media.masks import read_masks
from vp_jax.serve import tasks
from vp_jax.serve.schemas import Marks
from vp_jax.serve.shelf import read_shelf, shelf_length
from vp_jax.serve.tasks import overlay, prepare_video, read_mask_file, track_mask, with_frame, write_example


@pytest.fixture(scope="module")
def video(film, tmp_path_factory):
    """The folder of a video whose pictures are made."""
    folder = tmp_path_factory.mktemp("video")
    shutil.copy(film, folder / "video")
    reports = list(prepare_video(folder))
    assert reports[0] | {"state": "preparing", "frames": 6, "width": 64, "height": 48, "fps": 8.0} == reports[0]
    assert reports[-1] == {"frames": 6, "prepared": 6, "state": "ready"}
    return folder


def test_the_pictures_of_a_video_show_its_frames(video):
    assert shelf_length(video / "frames") == 6
    for number, frame_HWC in enumerate(disc_film()):
        shown_HWC = np.asarray(Image.open(io.BytesIO(read_shelf(video / "frames", number)))).astype(int)
        assert shown_HWC.shape == (48, 64, 3) and np.abs(shown_HWC - frame_HWC).mean() < 6


def test_a_large_picture_is_reduced():
    assert Image.open(io.BytesIO(tasks.jpeg(np.zeros((1080, 1920, 3), np.uint8)))).size == (960, 540)


@pytest.mark.parametrize("content", [b"no video", b"\x89PNG\r\n\x1a\n broken", b"../../etc/passwd"])
def test_what_is_no_video_is_one_line_without_the_servers_folders(content, tmp_path):
    (tmp_path / "video").write_bytes(content)
    with pytest.raises(UserError) as error:
        list(prepare_video(tmp_path))
    assert str(tmp_path) not in str(error.value) and "video" in str(error.value)


def test_a_video_that_is_too_long_is_refused(film, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "MOST_FRAMES", 5)
    shutil.copy(film, tmp_path / "video")
    with pytest.raises(UserError, match="6 frames: expected at most 5"):
        list(prepare_video(tmp_path))


def test_a_box_becomes_a_tracked_mask(video, tmp_path):
    marks = Marks.model_validate({"boxes": [{"x": 6, "y": 14, "width": 24, "height": 24}]})
    reports = list(track_mask(tmp_path, video, marks, "grabcut"))
    assert [report.get("tracked") for report in reports] == [1, 2, 3, 4, 5, 6, None]
    assert reports[-1]["state"] == "ready" and reports[-1]["notes"] == []
    holes_FHW = read_masks(tmp_path / "mask.mkv")
    truth_FHW = disc_film()[..., 0] > 200
    overlap_F = (holes_FHW & truth_FHW).sum((1, 2)) / (holes_FHW | truth_FHW).sum((1, 2))
    assert overlap_F.shape == (6,) and overlap_F.min() > 0.7
    assert reports[-1]["share"] == pytest.approx(holes_FHW.mean())
    assert (tmp_path / "sheet.png").stat().st_size > 1000 and shelf_length(tmp_path / "overlay") == 6


def test_marks_outside_of_the_picture_are_refused(video, tmp_path):
    marks = Marks.model_validate({"points": [{"x": 100, "y": 5}]})
    with pytest.raises(UserError, match="outside the frame of 64x48"):
        list(track_mask(tmp_path, video, marks, "grabcut"))


def test_an_uploaded_picture_masks_every_frame(video, tmp_path):
    (tmp_path / "upload").write_bytes(picture())
    reports = list(read_mask_file(tmp_path, video))
    assert reports[-1]["state"] == "ready" and reports[-1]["share"] == pytest.approx(20 * 20 / 48 / 64)
    holes_FHW = read_masks(tmp_path / "mask.mkv")
    assert holes_FHW.shape == (6, 48, 64) and holes_FHW[:, 16:36, 8:28].all() and holes_FHW.sum() == 6 * 400


def test_an_uploaded_mask_that_does_not_fit_is_refused(video, film, tmp_path):
    (tmp_path / "upload").write_bytes(picture((32, 48)))
    with pytest.raises(UserError, match="mask of 32x48 pixels, the video has 64x48"):
        list(read_mask_file(tmp_path, video))
    (tmp_path / "upload").write_bytes(picture(white=(0, 0, 0, 0)))
    with pytest.raises(UserError, match="empty in every frame"):
        list(read_mask_file(tmp_path, video))


def test_an_inverted_mask_is_asked_about(video, tmp_path):
    (tmp_path / "upload").write_bytes(picture(white=(0, 0, 64, 47)))
    (note,) = list(read_mask_file(tmp_path, video))[-1]["notes"]
    assert note == "98 % of all pixels are marked: is the mask inverted? “mask marks what is kept” turns it round"


def test_the_overlay_is_clear_outside_and_opaque_at_the_rim():
    hole_HW = np.zeros((40, 40), bool)
    hole_HW[10:30, 10:30] = True
    alpha_HW = np.asarray(Image.open(io.BytesIO(overlay(hole_HW))).convert("RGBA"))[..., 3]
    assert set(np.unique(alpha_HW[~hole_HW])) == {0}
    assert (alpha_HW[10, 10:30] == 255).all() and 0 < alpha_HW[20, 20] < 255


def test_frames_are_gathered_in_spans():
    spans = []
    for number in (3, 4, 5, 9, 11, 12):
        spans = with_frame(spans, number)
    assert spans == [(3, 5), (9, 9), (11, 12)]


def test_the_example_comes_with_its_prompt(tmp_path):
    prompt = write_example(tmp_path / "video")
    assert "square" in prompt and [path.name for path in tmp_path.iterdir()] == ["video"]
    assert list(prepare_video(tmp_path))[-1]["frames"] == 17
