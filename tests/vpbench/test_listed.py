"""Any table as a benchmark."""

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.vpbench.listed import listed_clips


@pytest.fixture
def table(tmp_path):
    clip_files.folder(tmp_path / "a", clip_files.moving(4, 32, 48))
    hole_HW = np.zeros((32, 48), np.uint8)
    hole_HW[4:9, 4:9] = 255
    Image.fromarray(hole_HW).save(tmp_path / "mask.png")

    def write(*lines):
        (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "table.csv"

    return write


def test_rows_are_clips_with_results_and_paths_relative_to_the_table(table, tmp_path):
    file = table("mask,source,result,caption,task", "mask.png,a,out/a.mp4,a red car,", "mask.png,b,,,edit")
    clips, results = listed_clips(file)
    assert results == {"a": tmp_path / "out/a.mp4"} and [clip.task for clip in clips] == ["fill", "edit"]
    inputs = clips[0].open()
    assert inputs.truth_FHWC is inputs.frames_FHWC and inputs.holes_FHW[0].sum() == 25
    with pytest.raises(UserError, match="b: no such file"):
        clips[1].open()


def test_a_removal_without_a_truth_knows_only_the_background(table):
    clips, _ = listed_clips(table("source,mask,task,truth", "a,mask.png,remove,"))
    assert clips[0].open().truth_FHWC is None


@pytest.mark.parametrize(
    "lines, message",
    [
        (["source,result"], "has no column mask"),
        (["source,mask,colour"], "unknown column colour"),
        (["source,mask"], "has no rows"),
        (["source,mask", "a,mask.png", "a,mask.png"], "clip a is there twice"),
    ],
)
def test_mistakes_in_the_table_are_one_line(table, lines, message):
    with pytest.raises(UserError, match=message):
        listed_clips(table(*lines))


@pytest.mark.parametrize(
    "line, fault",
    [("a,mask.png,dance,", "task dance: expected fill"), ("a,,fill,", "mask is empty"), ("a,mask.png,,x", "mask_id x")],
)
def test_mistakes_in_a_row_are_faults_of_its_clip(table, line, fault):
    clips, _ = listed_clips(table("source,mask,task,mask_id", line))
    assert fault in clips[0].fault
