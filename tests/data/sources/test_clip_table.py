"""Tables of files: any names and places, labels and ranges, and VPData's own tables found out by the header."""

import csv
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.data.make_vpdata_layout import FIELDS
from vp_jax.data.records import load_record
from vp_jax.data.sources.clip_table import open_csv
from vp_jax.data.sources.scan import Scan
from vp_jax.data.sources.vpdata import VPData
from vp_jax.errors import UserError

F, H, W = 9, 32, 48
CLIP = clip_files.moving(F, H, W)
LABELS = np.zeros((F, H, W), np.uint8)
for _frame in range(F):
    LABELS[_frame, 8:16, 2 * _frame : 2 * _frame + 16] = 1
    LABELS[_frame, 20:28, 8:24] = 2


@pytest.fixture
def files(tmp_path):
    """A video, a label map and a mask image, in different places."""
    (tmp_path / "films").mkdir()
    (tmp_path / "away").mkdir()
    clip_files.encode(tmp_path / "films" / "dog: one.mp4", CLIP, fps=Fraction(8))
    np.savez_compressed(tmp_path / "away" / "labels.npz", LABELS)
    Image.fromarray(LABELS[0] // 1 * np.uint8(127)).save(tmp_path / "still.PNG")
    return tmp_path


def write(folder, *rows, header=("video", "mask", "caption", "mask_id", "start", "stop")):
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows([header, *rows])
    return folder / "clips.csv"


def test_relative_and_absolute_paths_labels_and_ranges(files):
    video = "films/dog: one.mp4"
    table = write(
        files,
        [video, str(files / "away" / "labels.npz"), "the first", 1, "", ""],
        [str(files / video), "away/labels.npz", "the second", 2, 3, 8],
    )
    found = open_csv(table, frames=5)
    assert isinstance(found, Scan) and found.report.summary == "2 rows: 2 used"
    first, second = load_record(found[0]), load_record(found[1])
    np.testing.assert_array_equal(first.masks_FHW, LABELS == 1)
    np.testing.assert_array_equal(second.masks_FHW, LABELS[3:8] == 2)
    np.testing.assert_array_equal(second.frames_FHWC, first.frames_FHWC[3:8])
    assert (first.caption, second.caption) == ("the first", "the second")
    assert len({first.id, second.id}) == 2 and second.origin == "clips.csv:3"


def test_the_folder_of_paths_may_be_given_and_other_columns_are_harmless(files, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables")
    row = ["?", "a caption", "films/dog: one.mp4", "away/labels.npz", "2"]
    table = write(elsewhere, row, header=("note", "caption", "video", "mask", "mask_id"))
    (clip,) = open_csv(table, files, frames=9)
    np.testing.assert_array_equal(load_record(clip).masks_FHW, LABELS == 2)


BAD = [
    (["", "away/labels.npz", "c", 1], "video is empty", "without video"),
    (["films/dog: one.mp4", "", "c", 1], "mask is empty", "without mask"),
    (["films/dog: one.mp4", "away/labels.npz", " ", 1], "caption is empty", "without caption"),
    (["films/dog: one.mp4", "away/labels.npz", "c", "dog"], "mask_id is 'dog'", "row not readable"),
    (["films/dog: one.mp4", "away/labels.npz", "c", "nan"], "mask_id is 'nan'", "row not readable"),
    (["films/dog: one.mp4", "away/labels.npz", "c", 1, 0.5], "start is 0.5", "row not readable"),
    (["films/dog: one.mp4", "away/labels.npz", "c", 1, -2], "start is -2", "row not readable"),
    (["films/dog: one.mp4", "away/labels.npz", "c", 1, 5, 5], r"frames \[5:5\) are not a range", "row not readable"),
    (["films/dog: one.mp4", "away/labels.npz", "c", 1, 50], "past the end: 9 frames", "too short"),
    (["films/dog: one.mp4", "away/labels.npz", "c", 1, 4], "leave 5 of the 9 needed", "too short"),
    (["films/none.mp4", "away/labels.npz", "c", 1], "none.mp4: no such file", "video not readable"),
    (["films/dog: one.mp4", "none.npz", "c", 1], "none.npz: no such file", "mask not recognised"),
    (["films/dog: one.mp4", "away/labels.npz", "c"], "holds labels 0, 1, 2; choose the hole", "mask not recognised"),
    (["films/dog: one.mp4", "away/labels.npz", "c", 7], "no pixel has label 7", "mask not recognised"),
    (["films/dog: one.mp4", "still.PNG", "c"], "brightest value is 127|254", "mask not recognised"),
]


@pytest.mark.parametrize("row, reason, kind", BAD, ids=[kind + str(n) for n, (_, _, kind) in enumerate(BAD)])
def test_every_bad_row_is_named(files, row, reason, kind):
    good = ["films/dog: one.mp4", "away/labels.npz", "good", 1]
    if "still" in row[1]:
        Image.fromarray((LABELS[0] == 1) * np.uint8(127)).save(files / "still.PNG")
    found = open_csv(write(files, good, row), frames=9, fps=30)
    assert [clip.caption for clip in found] == ["good"]
    (fault,) = found.report.left_out
    assert fault.kind == kind and fault.origin == "clips.csv:3"
    with pytest.raises(UserError, match=f"no row can be used, 1 row: 0 used, 1 .*{reason}"):
        open_csv(write(files, row), frames=9, fps=30)


def test_the_header_tells_both_kinds_of_tables_apart(layout, tmp_path):
    assert isinstance(open_csv(layout / "train.csv", layout, frames=9), VPData)
    assert isinstance(open_csv(layout / "train.csv", frames=9), VPData)  # the layout lies beside its table
    with pytest.raises(UserError, match=r"expected the columns video, mask, caption .* it has clip, text"):
        open_csv(write(tmp_path, header=("clip", "text")))
    with pytest.raises(UserError, match="has no column start_frame"):
        open_csv(write(tmp_path, header=[name for name in FIELDS if name != "start_frame"]))


def test_what_the_published_filter_leaves_out_is_counted(layout):
    found = open_csv(layout / "train.csv", layout, frames=9, min_caption=50)
    assert found.report.summary == "8 rows: 8 used"
    found = open_csv(layout / "train.csv", layout, frames=9)
    assert isinstance(found, VPData)
    with pytest.raises(UserError, match=r"8 rows: 0 used, 8 of fewer than 49 frames at 8 fps"):
        open_csv(layout / "train.csv", layout, frames=49)
    with pytest.raises(UserError, match=r"8 rows: 0 used, 8 with a caption of at most 500 characters"):
        open_csv(layout / "train.csv", layout, frames=9, min_caption=500)
