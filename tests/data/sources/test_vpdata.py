"""The official layout: columns by name, path rules, filters, label maps."""

import csv

import numpy as np
import pytest

from tests.data.make_vpdata_layout import FIELDS
from vp_jax.data.records import BadRecord
from vp_jax.data.sources.vpdata import Layout, VPData, read_rows, select
from vp_jax.errors import UserError

LONG = "A caption that is longer than fifty characters, so that the filter lets it pass."


def write_csv(file, header, *rows):
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


def test_paths_follow_the_two_naming_rules(tmp_path):
    layout = Layout.under(tmp_path)
    video, mask = layout.files("000000123456.0.mp4")
    assert video == tmp_path / "videovo/raw_video/000000123/000000123456.0.mp4"
    assert mask == tmp_path / "video_inpainting/videovo/000000123456/all_masks.npz"
    video, mask = layout.files("000000123456_789.mp4")
    assert video == tmp_path / "pexels/pexels/raw_video/000000123/000000123456_789.mp4"
    assert mask == tmp_path / "video_inpainting/pexels/000000123456_789/all_masks.npz"


@pytest.mark.parametrize("path", ["", "clip.avi", "../../etc/x.mp4", "a\\b.mp4", ".mp4"])
def test_other_paths_are_bad_records(tmp_path, path):
    with pytest.raises(BadRecord, match="path"):
        Layout.under(tmp_path).files(path)


def test_columns_are_read_by_name(tmp_path):
    file = write_csv(
        tmp_path / "a.csv",
        ["caption", "extra", "fps", "mask_id", "path", "end_frame", "start_frame"],
        [LONG, "?", "29.97", "3", "000000000001.0.mp4", "200.0", "10"],
    )
    (row,) = read_rows(file)
    assert (row.path, row.mask_id, row.start_frame, row.end_frame, row.fps) == ("000000000001.0.mp4", 3, 10, 200, 29.97)
    assert row.caption == LONG and row.origin == "a.csv:2" and not row.fault


@pytest.mark.parametrize("column", ["video_inpainting_prompt", "Edited_video_caption"])
def test_benchmark_files_name_their_caption_otherwise(tmp_path, column):
    header = ["path", "mask_id", "start_frame", "end_frame", "fps", column]
    (row,) = read_rows(write_csv(tmp_path / "b.csv", header, ["000000000001.0.mp4", 1, 0, 9, 8, LONG]))
    assert row.caption == LONG


def test_missing_columns_are_named(tmp_path):
    file = write_csv(tmp_path / "c.csv", ["path", "fps", "mask_id"], ["x.mp4", 8, 1])
    with pytest.raises(UserError, match=r"no column start_frame, end_frame, caption; it has path, fps, mask_id"):
        read_rows(file)


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv: no such file"):
        read_rows(tmp_path / "nowhere.csv")


def test_the_published_filter(tmp_path):
    rows = read_rows(
        write_csv(
            tmp_path / "d.csv",
            FIELDS,
            ["000000000001.0.mp4", 0, 49 * 3, 24, 1, LONG],
            ["000000000002.0.mp4", 0, 49 * 3 - 1, 24, 1, LONG],
            ["000000000003.0.mp4", 0, 49, 5, 1, LONG],
            ["000000000004.0.mp4", 0, 200, 24, 1, "x" * 50],
            ["000000000005.0.mp4", 0, 200, "nan", 1, LONG],
        )
    )
    assert [row.path[11] for row in select(rows)] == ["1", "3", "5"]  # the faulty one stays, to be named
    with pytest.raises(UserError, match=r"no usable row passes .*not finite"):
        VPData.from_csv(tmp_path / "d.csv", Layout.under(tmp_path), min_caption=1000)


def test_one_range_cuts_video_and_masks(layout):
    data = VPData.from_csv(layout / "train.csv", Layout.under(layout), frames=9)
    row = data.rows[0]
    frames_FHWC, masks_FHW = data[0].read(np.arange(30))
    later = type(data[0])(type(row)(**{**vars(row), "start_frame": 7, "end_frame": 1000}), data.layout)
    assert later.open().frames == 23 and later.open().fps == 24
    got_FHWC, got_FHW = later.read(np.array([0, 5]))
    np.testing.assert_array_equal(got_FHWC, frames_FHWC[[7, 12]])
    np.testing.assert_array_equal(got_FHW, masks_FHW[[7, 12]])


def test_fps_zero_means_the_file_s_own(layout):
    data = VPData.from_csv(layout / "train.csv", Layout.under(layout), frames=9)
    clip = type(data[0])(type(data.rows[0])(**{**vars(data.rows[0]), "fps": 0.0}), data.layout)
    assert clip.open().fps == 24


def test_two_objects_of_one_video_are_two_records(layout, tmp_path):
    row = ["000000000000.0.mp4", 0, 30, 24]
    file = write_csv(tmp_path / "e.csv", FIELDS, [*row, 1, LONG], [*row, 2, LONG])
    data = VPData.from_csv(file, Layout.under(layout), frames=9)
    (_, first_FHW), (_, second_FHW) = (data[i].read(np.arange(9)) for i in range(2))
    assert data[0].id != data[1].id and not (first_FHW & second_FHW).any() and second_FHW.any()
