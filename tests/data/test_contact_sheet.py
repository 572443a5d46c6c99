"""Contact sheets of examples: which frames stand where, the tint of the hole, a row for every family."""

import numpy as np
from PIL import Image

from tests.data.make_vpdata_layout import LayoutWriter, caption_of, draw_clip
from vp_jax.data import contact_sheet
from vp_jax.data.augment import FAMILIES, MORPHOLOGY
from vp_jax.data.clips import Resize
from vp_jax.media.video_writer import encode_mp4


def test_evenly_spaced_frames_stand_in_a_row():
    frames_FHWC = np.empty((9, 20, 30, 3), np.uint8)
    frames_FHWC[:] = 10 * np.arange(9)[:, None, None, None]
    masks_FHW = np.zeros((9, 20, 30), np.uint8)
    rows = [("first", frames_FHWC, masks_FHW), ("second", frames_FHWC + np.uint8(100), masks_FHW)]
    image = np.asarray(contact_sheet.clip_sheet(rows, columns=3, width=30))
    assert image.shape == (4 + 2 * (14 + 20 + 4), 4 + 3 * (30 + 4), 3)
    for column, frame in enumerate((0, 4, 8)):
        left = 4 + 34 * column
        upper, lower = (image[18 + 38 * row : 38 + 38 * row, left : left + 30] for row in (0, 1))
        assert (upper == 10 * frame).all() and (lower == 100 + 10 * frame).all()
    assert (image[4:18] < 255).any(), "a title"


def test_the_hole_is_tinted_red_and_the_rest_is_the_frame():
    frames_FHWC = np.full((3, 40, 60, 3), 100, np.uint8)
    masks_FHW = np.zeros((3, 40, 60), np.uint8)
    masks_FHW[:, 10:30, 20:40] = 1
    sheet = np.asarray(contact_sheet.clip_sheet([("a", frames_FHWC, masks_FHW)], columns=3, width=60))
    assert sheet.shape == (4 + 14 + 40 + 4, 4 + 3 * 64, 3)
    for column in range(3):
        tile = sheet[18:58, 4 + 64 * column :][:, :60]
        assert (tile[12:28, 22:38] == (185, 61, 61)).all() and (tile[:8] == 100).all() and (tile[:, :18] == 100).all()


def test_there_is_a_row_for_every_family_and_every_morphology(source):
    rows = contact_sheet.every_family(source, Resize(24, 32), frames=9, seed=3)
    titles = [title for title, _, _ in rows]
    want = ["untouched"]
    for family in FAMILIES:
        want += [family, *(f"brush: {name}" for name in MORPHOLOGY)] if family == "brush" else [family]
    assert titles == want
    for title, frames_FHWC, masks_FHW in rows:
        assert frames_FHWC.shape == (9, 24, 32, 3) and masks_FHW.shape == (9, 24, 32), title
        assert set(np.unique(masks_FHW)) <= {0, 1}
    by_title = {title: masks_FHW for title, _, masks_FHW in rows}
    assert by_title["brush: dilate_only"].sum() >= by_title["brush: dilate_erode"].sum()
    assert by_title["untouched"].any() and (by_title["rect"] == by_title["rect"][0]).all()


def test_the_same_seed_draws_the_same_sheet(source):
    first, again, other = (contact_sheet.every_family(source, Resize(24, 32), 9, seed) for seed in (1, 1, 2))
    for (title, _, masks_FHW), (_, _, again_FHW) in zip(first, again):
        np.testing.assert_array_equal(masks_FHW, again_FHW, err_msg=title)
    assert any((a[2] != b[2]).any() for a, b in zip(first, other))


def test_a_sheet_of_a_folder_is_saved_as_a_picture(tmp_path, monkeypatch):
    writer = LayoutWriter(tmp_path / "data")
    frames_FHWC, labels_FHW = draw_clip(150, 32, 48)
    writer.add(encode_mp4(frames_FHWC, 24), labels_FHW, 24, caption_of("one"))

    def rows(data, resize, seed):
        assert len(data) == 1 and resize == Resize() and seed == 5
        return [("row", np.zeros((5, 48, 64, 3), np.uint8), np.zeros((5, 48, 64), np.uint8))]

    monkeypatch.setattr(contact_sheet, "every_family", rows)
    contact_sheet.draw(tmp_path / "sheet.png", writer.data, writer.write(), seed=5)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (4 + 5 * 244, 4 + 14 + 180 + 4)
