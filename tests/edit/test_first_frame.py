"""First frames: painted within the hole alone, kept, shown on a sheet, chosen by number."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from vp_jax.edit import first_frame as ff
from vp_jax.edit.wanted import Wanted
from vp_jax.errors import UserError
from vp_jax.media.images import read_image

FRAME_HWC = np.full((24, 36, 3), (40, 120, 200), np.uint8)
HOLE_HW = np.zeros((24, 36), bool)
HOLE_HW[8:16, 10:20] = True
MARKED_HWC = np.where(HOLE_HW[..., None], np.uint8(255), FRAME_HWC)
WANTED = Wanted(MARKED_HWC, HOLE_HW, "a fox", "")


def painter(calls):
    def paint_all(wanted, seeds):
        for seed in seeds:
            calls.append(seed)
            yield np.full_like(wanted.frame_HWC, seed)

    return paint_all


def test_opencv_fills_a_hole_from_its_rim():
    for filled_HWC in ff.filled(WANTED, range(8)):
        assert np.abs(filled_HWC.astype(int) - FRAME_HWC).max() <= 2
        np.testing.assert_array_equal(filled_HWC[~HOLE_HW], FRAME_HWC[~HOLE_HW])


def test_candidates_are_kept_and_only_the_hole_is_theirs(tmp_path):
    calls = []
    found = ff.paint("t2v", WANTED, [5, 6, 7, 8, 9], tmp_path / "out.mp4", painter(calls))
    assert found.sheet == tmp_path / "out_first.png" and read_image(found.sheet).shape[1] > 4 * 300
    second_HWC = read_image(found.chosen(2))
    assert (second_HWC[HOLE_HW] == 6).all() and (second_HWC[~HOLE_HW] == MARKED_HWC[~HOLE_HW]).all()
    assert found.chosen(2) == tmp_path / "out_first" / "2.png" and calls == [5, 6, 7, 8, 9]
    for number in (0, 6):
        with pytest.raises(UserError, match=rf"choose {number}: expected 1 to 5"):
            found.chosen(number)


def test_the_same_question_is_not_painted_again_and_another_seed_is(tmp_path):
    calls = []
    out = tmp_path / "out.mp4"
    for seeds in ([1, 2], [1, 2], [3, 4]):
        ff.paint("t2v", WANTED, seeds, out, painter(calls))
    assert calls == [1, 2, 3, 4]
    (tmp_path / "out_first" / "1.png").write_bytes(b"damaged")
    ff.paint("t2v", WANTED, [3, 4], out, painter(calls))
    ff.paint("t2v", WANTED._replace(prompt="a hen"), [3, 4], out, painter(calls))
    ff.paint("t2v", WANTED._replace(prompt="a hen"), [3, 4], out, painter(calls), {"checkpoint": "other"})
    assert calls == [1, 2, 3, 4, 3, 4, 3, 4, 3, 4]


def test_a_folder_that_no_edit_made_is_left_alone(tmp_path):
    (tmp_path / "out_first").mkdir()
    with pytest.raises(UserError, match="no edit made it: move it"):
        ff.paint("fill", WANTED, [1], tmp_path / "out.mp4", ff.filled)


def test_a_picture_of_another_size_is_fitted():
    assert (ff.pasted(np.full((48, 72, 3), 9, np.uint8), WANTED)[HOLE_HW] == 9).all()


@pytest.mark.parametrize("kind", ["flux", "missing.png", "t2v "])
def test_an_unknown_source_is_one_line(kind):
    assert not ff.is_painted(kind)
    with pytest.raises(UserError, match=r"no such file; expected a picture, original, fill, lama, t2v, diffusers"):
        ff.painter_of(kind, painter([]))


def test_a_source_is_checked_before_anything_is_painted(tmp_path, monkeypatch):
    (tmp_path / "face.png").touch()
    for kind in ("none", "original", "fill", "t2v", "diffusers:x", str(tmp_path / "face.png")):
        ff.check_kind(kind, drawn=False)
    ff.check_kind("drawn", drawn=True)
    monkeypatch.setattr(ff, "find_spec", lambda name: None)
    for kind, line in [("drawn", "only the packaged"), ("fil", "no such file"), ("lama", "pip install simple-lama")]:
        with pytest.raises(UserError, match=line):
            ff.check_kind(kind, drawn=False)


def test_what_was_painted_is_counted(tmp_path):
    assert ff.kept_count(tmp_path / "out.mp4") == 1
    ff.paint("fill", WANTED, [4, 5, 6], tmp_path / "out.mp4", ff.filled)
    assert ff.kept_count(tmp_path / "out.mp4") == 3
    (tmp_path / "out_first" / ff.RECORD).write_text('{"seeds": 7}')
    assert ff.kept_count(tmp_path / "out.mp4") == 1


def test_too_many_candidates_are_one_line(tmp_path):
    with pytest.raises(UserError, match="candidates 17: expected 1 to 16"):
        ff.paint("fill", WANTED, range(17), tmp_path / "o.mp4", ff.filled)


def test_lama_is_asked_for_by_name_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "simple_lama_inpainting", None)
    with pytest.raises(UserError, match="pip install simple-lama-inpainting"):
        list(ff.by_lama(WANTED, [1]))
    lama = types.SimpleNamespace(SimpleLama=lambda: lambda image, mask: Image.new("RGB", (40, 24), "red"))
    monkeypatch.setitem(sys.modules, "simple_lama_inpainting", lama)
    (frame_HWC,) = ff.by_lama(WANTED, [1])  # LaMa pads to multiples of eight
    assert frame_HWC.shape == FRAME_HWC.shape and (frame_HWC == (255, 0, 0)).all()
