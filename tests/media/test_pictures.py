"""Comparison frames and contact sheet: sizes, and that each cell shows what its label says."""

import numpy as np
import pytest

from tests import clip_files
from vp_jax.media import pictures


def scene(frames, height, width):
    original = clip_files.moving(frames, height, width)
    holes = np.zeros((frames, height, width), bool)
    holes[:, height // 4 : height // 2, width // 4 : width // 2] = True
    result = original.copy()
    result[holes] = (255, 0, 255)
    return original, holes, result


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (720, 1280), (300, 100)], ids=str)
def test_comparison_has_four_true_panels(size):
    original, holes, result = scene(2, *size)
    frames = list(pictures.comparison_frames(original, holes, result))
    assert len(frames) == 2 and frames[0].dtype == np.uint8
    height, width = frames[0].shape[:2]
    assert height % 2 == 0 and width % 2 == 0
    enlarged = 4 * size[1] if size[1] <= 128 else size[1]
    panel_width = min(enlarged, 640)
    panel_height = round(size[0] * panel_width / size[1])
    assert width - (4 * panel_width + 3 * 8) in (0, 1)
    bar = height - panel_height - (height - panel_height) % 2
    assert 16 <= bar <= 40
    y, x = bar + 3 * panel_height // 8, 3 * panel_width // 8  # the middle of the hole
    cells = [frames[1][y, column * (panel_width + 8) + x].astype(int) for column in range(4)]
    expected = original[1, 3 * size[0] // 8, 3 * size[1] // 8]
    assert np.abs(cells[0] - expected).max() <= 12
    assert np.ptp(cells[1]) < 12 and 100 < cells[1].mean() < 150  # hatched in grey
    assert cells[2].tolist() == [255, 255, 255] and cells[3].tolist() == [255, 0, 255]
    assert (frames[0][:bar] != frames[0][0, 0]).any(), "labels"


def test_unreduced_panels_are_the_very_pixels():
    original, holes, result = scene(3, 96, 160)
    for index, frame in enumerate(pictures.comparison_frames(original, holes, result)):
        bar = frame.shape[0] - 96
        np.testing.assert_array_equal(frame[bar:, :160], original[index])
        np.testing.assert_array_equal(frame[bar:, 3 * 168 : 3 * 168 + 160], result[index])


def test_panels_of_small_videos_are_four_times_as_large():
    original, holes, result = scene(2, 64, 96)
    frame = next(pictures.comparison_frames(original, holes, result))
    bar = frame.shape[0] - 256
    np.testing.assert_array_equal(frame[bar:, :384][::4, ::4], original[0])
    np.testing.assert_array_equal(frame[bar:, 3 * 392 : 3 * 392 + 384], result[0].repeat(4, 0).repeat(4, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "frames, size, shown",
    [(80, (240, 432), 8), (49, (480, 720), 8), (3, (48, 64), 3), (1, (33, 65), 1), (9, (640, 360), 8)],
)
def test_contact_sheet_dimensions(frames, size, shown):
    sheet = pictures.contact_sheet(*scene(frames, *size), title="a fox")
    scale = 300 / max(size)
    cell = (round(size[1] * scale), round(size[0] * scale))
    assert sheet.size == (24 + 150 + shown * (cell[0] + 8) - 8 + 24, 24 + 88 + 44 + 3 * (cell[1] + 8) - 8 + 24)
    assert sheet.mode == "RGB"


def test_contact_sheet_shows_what_it_says():
    original, holes, result = scene(20, 150, 300)  # a cell is the picture itself
    sheet = np.asarray(pictures.contact_sheet(original, holes, result))
    left, top, cell_height, cell_width = 24 + 150, 24 + 44, 150, 300
    for column, frame in [(0, 0), (7, 19)]:
        x = left + column * (cell_width + 8)
        rows = [sheet[top + r * (cell_height + 8) :][:cell_height, x : x + cell_width] for r in range(3)]
        outside = ~pictures.dilate(holes[frame][None], 3)[0]
        for row, truth in zip(rows, (original, original, result)):
            np.testing.assert_array_equal(row[outside], truth[frame][outside])
        np.testing.assert_array_equal(rows[0][holes[frame]], original[frame][holes[frame]])
        np.testing.assert_array_equal(rows[2], result[frame])
        assert (np.ptp(rows[1][holes[frame]].astype(int), axis=-1) < 12).all()
        rim = pictures.dilate(holes[frame][None], 2)[0] & ~holes[frame]
        assert len(np.unique(rows[0][rim], axis=0)) == 1
    assert (sheet[24:top, left:] != sheet[0, 0]).any(), "frame numbers"


def test_labels_can_be_read_where_a_sheet_is_1280_pixels_wide():
    original, holes, result = scene(8, 150, 300)
    sheet = np.asarray(pictures.contact_sheet(original, holes, result).convert("L")).astype(int)
    rows = np.flatnonzero((np.abs(sheet[:, :150] - sheet[0, 0]) > 60).any(axis=1))
    first = rows[: np.flatnonzero(np.diff(rows) > 1)[0] + 1]  # "original", from the dot of its i to the tail of its g
    assert len(first) * 1280 / sheet.shape[1] >= 12


def test_a_few_frames_of_a_long_video_keep_their_numbers():
    original, holes, result = scene(9, 60, 300)
    chosen = pictures.evenly(9, 3)
    few = pictures.contact_sheet(original[chosen], holes[chosen], result[chosen], numbers=chosen)
    assert chosen == [0, 4, 8]
    np.testing.assert_array_equal(few, pictures.contact_sheet(original, holes, result, columns=3))


def test_comparison_reads_iterables_once():
    original, holes, result = scene(3, 96, 160)
    once = list(pictures.comparison_frames(iter(original), iter(holes), iter(result)))
    np.testing.assert_array_equal(once, list(pictures.comparison_frames(original, holes, result)))


@pytest.mark.slow
def test_titles_of_any_length_fit():
    parts = scene(2, 40, 60)
    short, long = (pictures.contact_sheet(*parts, title=title) for title in ("a fox", "a fox\nruns " * 90))
    assert short.size == long.size
    assert (np.asarray(long)[:, -20:][:60] == np.asarray(long)[0, 0]).all(), "the margin stays free"


def test_the_mask_may_touch_the_edges_or_be_absent():
    original, holes, result = scene(2, 40, 60)
    holes[0], holes[1] = True, False
    sheet = pictures.contact_sheet(original, holes, result)
    frames = list(pictures.comparison_frames(original, holes, result))
    assert sheet.size[0] > 0 and len(frames) == 2
    np.testing.assert_array_equal(pictures.outlined(original[0], holes[0]), original[0])
    np.testing.assert_array_equal(pictures.masked(original[1], holes[1]), original[1])


def flat(value, height=8, width=12):
    return np.full((height, width, 3), value, np.uint8)


def test_grid_places_pictures_right_of_their_labels_and_headings_between():
    rows = [
        pictures.PictureRow("heading", colour=pictures.ACCENT),
        pictures.PictureRow("first", [flat(200), flat(210)]),
        pictures.PictureRow("second", [flat(220)]),
    ]
    sheet = np.asarray(pictures.grid(rows, left=60, gap=4, margin=10, font_size=10))
    bar = 10 + 18
    assert sheet.shape == (10 + bar + 2 * (8 + 4) - 4 + 10, 10 + 60 + 2 * (12 + 4) - 4 + 10, 3)
    for place, (row, value) in enumerate([(0, 200), (0, 210), (1, 220)]):
        y, x = 10 + bar + row * 12, 70 + 16 * (place % 2)
        assert (sheet[y : y + 8, x : x + 12] == value).all()
    assert (sheet[10 + bar + 12 : -10, 86:-10] == pictures.PAPER).all(), "a short row leaves paper"
    assert (sheet[10 : 10 + bar, :70] != pictures.PAPER).any() and (sheet[10 + bar :, :70] != pictures.PAPER).any()


def test_grid_names_its_columns_under_a_title():
    plain = pictures.grid([pictures.PictureRow("", [flat(9)])], gap=4, margin=10)
    named = pictures.grid([pictures.PictureRow("", [flat(9)])], gap=4, margin=10, heads=["x"], title="a title")
    assert named.size == (plain.size[0], plain.size[1] + 44 + 28)
