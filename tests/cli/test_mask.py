import numpy as np
import pytest

from tests.segment.shapes_film import BLUE, RED, film
from vp_jax.cli.main import run
from vp_jax.cli.mask import prompts_of
from vp_jax.cli.tracked import tracked_mask
from vp_jax.errors import UserError
from vp_jax.media.masks import read_masks
from vp_jax.media.video_writer import write_video
from vp_jax.segment.agreement import region_j
from vp_jax.segment.prompts import Box, Point, Words

PICTURES, MASKS = film((RED, 20, 30, 3, 0), (BLUE, 66, 30, 0, 0), frames=4)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    write_video(path, PICTURES, 8)
    return path


def test_a_box_becomes_a_mask_file_and_a_sheet(video, tmp_path, capsys):
    out, sheet = tmp_path / "mask.mkv", tmp_path / "sheet.png"
    assert run(["mask", str(video), "--box", "8,18,24,24", "--out", str(out), "--preview", str(sheet)]) == 0
    assert region_j(read_masks(out)[-1], MASKS[-1][0]) > 0.85
    assert sheet.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "4 frames tracked" in printed and printed.strip().endswith(str(out))


def test_flags_become_prompts_of_numbered_things():
    assert prompts_of(["1,2,3,4", "2:5,6,7,8@9"], ["-1,2@3"], ["a fox"]) == [
        Box(1, 2, 3, 4),
        Box(5, 6, 7, 8, 9, 2),
        Point(1, 2, False, 3),
        Words("a fox"),
    ]


@pytest.mark.parametrize(
    "flags, words",
    [
        ([], "expected --box, --points or --words"),
        (["--box", "900,3,4,4"], "lies outside the frame of 90x60"),
        (["--points", "3,99"], "lies outside"),
        (["--points", "-3,9"], "only points outside of it"),
        (["--box", "-30,-9,8,8"], "box -30,-9,8,8: lies outside"),
        (["--box", "1,2,3,4", "--out", ""], "argument --out: is empty"),
        (["--box", "1,2,3,4", "--preview", "sheet.jpg"], r"ends in \.png"),
        (["--box", "1,2,3,4", "--grow", "-1"], "grow -1"),
        (["--words", "a fox"], "one colour"),
        (["--box", "8,18,24,24", "--shrink", "40"], "nothing is left"),
        (["--box", "1,2,3,4", "--backend", "sam2_video"], "no weights given"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_file(video, tmp_path, flags, words):
    with pytest.raises(UserError, match=words) as caught:
        run(["mask", str(video), *flags, "--out", str(tmp_path / "mask.mkv")])
    assert "\n" not in str(caught.value) and not (tmp_path / "mask.mkv").exists()


def values(video, tmp_path, mask):
    return {"video": video, "mask": mask, "out": tmp_path / "out.mkv", "start": 0, "stop": None, "folder_fps": None}


@pytest.mark.parametrize("mask", ["box:8,18,24,24", "points:20,30;-66,30", "the red disc"])
def test_the_mask_of_a_job_is_tracked_and_lies_beside_the_result(video, tmp_path, mask, capsys):
    path = tracked_mask(values(video, tmp_path, mask))
    assert path == tmp_path / "out_tracked.mkv" and region_j(read_masks(path)[-1], MASKS[-1][0]) > 0.8
    assert "out_tracked.mkv" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, line",
    [
        (["--mask", ""], "argument --mask: is empty"),
        (["--mask", "the red disc"], "expected one of --prompt and --prompt_embeds"),
        (["--mask", "the red disc", "--prompt", "x", "--first_frame", "fill"], "vp-jax edit paints first frames"),
        (["--mask", "the red disc", "--prompt", "x", "--segmenter", "sam2_video"], "expected sam2_video:FOLDER_OR_ID"),
    ],
)
def test_what_costs_nothing_to_check_is_checked_before_tracking(video, tmp_path, flags, line):
    with pytest.raises(UserError, match=line):
        run(["sample", "--video", str(video), "--out", str(tmp_path / "out.mkv"), *flags])
    assert not any(tmp_path.iterdir())


def test_a_missing_file_is_not_taken_for_words(video, tmp_path):
    assert str(tracked_mask(values(video, tmp_path, "masks/red.mp4"))) == "masks/red.mp4"
    with pytest.raises(UserError, match="there is no --video"):
        tracked_mask(values(None, tmp_path, "box:1,2,3,4"))


def test_words_that_no_model_is_there_for_say_what_to_give(video, tmp_path):
    with pytest.raises(UserError, match="box:x,y,w,h or points:x,y"):
        tracked_mask(values(video, tmp_path, "dog"))


def test_a_mask_of_two_things_may_hold_one(video, tmp_path):
    boxes = ["--box", "8,18,24,24", "--box", "2:54,18,24,24"]
    run(["mask", str(video), *boxes, "--only", "2", "--grow", "1", "--fill", "--out", str(tmp_path / "m.mkv")])
    holes_FHW = read_masks(tmp_path / "m.mkv")
    assert (holes_FHW[-1] & MASKS[-1][1]).sum() > 0.9 * MASKS[-1][1].sum()
    assert not (holes_FHW[-1] & MASKS[-1][0]).any() and np.ndim(holes_FHW) == 3
