"""Clips out of files: streams at the scored size, and one line where files do not belong together."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.vpbench.clips import BenchClip, ClipFiles, as_array, file_name, resized, resized_holes


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    clip_files.folder(folder / "video", clip_files.moving(7, 32, 48))
    hole_FHW = np.zeros((7, 32, 48), np.uint8)
    hole_FHW[:, 8:16, 8:24] = 255
    clip_files.folder(folder / "mask", hole_FHW)
    return folder


def test_frames_masks_and_truth_come_at_the_size_and_rate_asked_for(files):
    clip = ClipFiles(files / "video", files / "mask", files / "video", step=2, most=3, size=(64, 96))()
    assert clip.frames_FHWC.shape == (3, 64, 96, 3) and clip.holes_FHW.shape == (3, 64, 96)
    assert clip.fps == Fraction(4) and clip.native == (32, 48)
    holes_FHW = as_array(clip.holes_FHW)
    assert holes_FHW[0, 16:32, 16:48].all() and holes_FHW.sum() == 3 * 16 * 32
    source_FHWC = clip_files.moving(7, 32, 48)[::2]
    expected = [np.asarray(Image.fromarray(f).resize((96, 64), Image.Resampling.LANCZOS)) for f in source_FHWC[:3]]
    np.testing.assert_array_equal(as_array(clip.frames_FHWC), np.stack(expected))
    np.testing.assert_array_equal(as_array(clip.truth_FHWC), np.stack(expected))


def test_a_clip_at_its_own_size_is_not_touched(files):
    clip = ClipFiles(files / "video", files / "mask", source_is_truth=False)()
    np.testing.assert_array_equal(as_array(clip.frames_FHWC), clip_files.moving(7, 32, 48))
    assert clip.truth_FHWC is None


def test_masks_of_davis_grow_by_four_pixels_as_a_diamond(files):
    holes_FHW = as_array(ClipFiles(files / "video", files / "mask", size=(32, 48), davis=True)().holes_FHW)
    point = np.zeros((32, 48), np.uint8)
    point[8:16, 8:24] = 1
    y, x = np.mgrid[:32, :48]
    near = np.maximum(0, np.maximum(8 - x, x - 23)) + np.maximum(0, np.maximum(8 - y, y - 15)) <= 4
    np.testing.assert_array_equal(holes_FHW[0], near)
    assert cv2.countNonZero(point) < near.sum()


def test_a_truth_of_another_length_is_one_line(files, tmp_path):
    clip_files.folder(tmp_path / "short", clip_files.moving(5, 32, 48))
    with pytest.raises(UserError, match=r"truth .*: 5 frames of 48x32, but the source has 7 of 48x32"):
        ClipFiles(files / "video", files / "mask", tmp_path / "short")()


def test_a_fault_is_reported_when_the_clip_is_opened():
    with pytest.raises(UserError, match="a: mask is empty"):
        BenchClip("a", lambda: pytest.fail("opened"), fault="mask is empty").open()


def test_names_of_files_stay_different():
    assert file_name("world-3") == "world-3"
    assert file_name("a/b") != file_name("a_b") == "a_b" and "/" not in file_name("../a/b")
    assert file_name("/") and not file_name("..").startswith(".")


def test_facts_of_files_do_not_depend_on_their_folder(files, tmp_path):
    here = ClipFiles(files / "video", files / "mask", size=(64, 96)).facts
    assert here == ClipFiles(tmp_path / "video", tmp_path / "mask", size=(64, 96)).facts
    assert here["video"] == "video" and here["size"] == (64, 96)


def test_resizing_to_the_same_size_returns_the_same_frames():
    frames_FHWC, holes_FHW = np.zeros((2, 32, 48, 3), np.uint8), np.zeros((2, 32, 48), bool)
    assert resized(frames_FHWC, (32, 48)) is frames_FHWC and resized_holes(holes_FHW, (32, 48)) is holes_FHW
