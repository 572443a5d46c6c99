"""VPBench and DAVIS in the published layout, written small."""

import csv

import numpy as np
import pytest

from tests import clip_files
from tests.data.make_vpdata_layout import LayoutWriter, draw_clip
from vp_jax.errors import UserError
from vp_jax.media.video_writer import encode_mp4
from vp_jax.vpbench.clips import as_array
from vp_jax.vpbench.published import VPBENCH_TABLES, davis_clips, vpbench_clips

SIZE = (32, 48)


@pytest.fixture(scope="module")
def vpbench(tmp_path_factory):
    """Two videos of VPBench at 24 frames per second: 160 frames, and 30 of Pexels."""
    data = tmp_path_factory.mktemp("vpbench")
    writer = LayoutWriter(data)
    for frames, pexels in ((160, False), (30, True)):
        frames_FHWC, labels_FHW = draw_clip(frames, *SIZE)
        writer.add(encode_mp4(frames_FHWC, 24), labels_FHW, 24, "A long caption of a clip.", pexels)
    first, second = writer.rows
    rows = [first, {**first, "mask_id": 2}, {**second, "start_frame": 3}, {**second, "path": "nothing.avi"}]
    for file, caption, target in (
        ("our_video_inpaint.csv", "video_inpainting_prompt", "image_inpainting_prompt"),
        ("our_video_inpaint_long.csv", "video_inpainting_prompt", "image_inpainting_prompt"),
        ("our_video_edit.csv", "Edited_video_caption", "Edited_image_caption"),
    ):
        with open(data / file, "w", newline="") as stream:
            names = ["mask_id", "path", "start_frame", "end_frame", "fps", caption, target, "Editing_instruction"]
            out = csv.DictWriter(stream, names)
            out.writeheader()
            for number, row in enumerate(rows):
                kept = {name: row[name] for name in names[:5]}
                instruction = "Remove the disc" if number == 1 else "Make it blue"
                out.writerow({**kept, caption: "a disc moves", target: "a disc", "Editing_instruction": instruction})
    return data


def test_standard_clips_are_thinned_to_8_frames_per_second_and_cut_to_49(vpbench):
    first, second, third, _ = vpbench_clips("vpbench-s", vpbench, SIZE)
    inputs = first.open()
    assert len(inputs.frames_FHWC) == 49 and float(inputs.fps) == 8
    assert (first.prompt, first.target) == ("a disc moves", "a disc")
    _, labels_FHW = draw_clip(160, *SIZE)
    np.testing.assert_array_equal(as_array(inputs.holes_FHW), (labels_FHW == 1)[:147:3])
    np.testing.assert_array_equal(as_array(second.open().holes_FHW), (labels_FHW == 2)[:147:3])
    assert first.name != second.name, "two masks of one video are two clips"
    assert len(third.open().frames_FHWC) == 9, "frames 3, 6 ... 27 of 30"


def test_long_clips_are_not_cut_and_are_scored_at_the_papers_size(vpbench):
    clip = vpbench_clips("vpbench-l", vpbench)[0].open()
    assert clip.frames_FHWC.shape == (54, 480, 720, 3) and clip.truth_FHWC is clip.frames_FHWC
    assert clip.native == SIZE


def test_edits_have_no_truth_in_the_hole_and_removals_are_known_by_their_instruction(vpbench):
    clips = vpbench_clips("vpbench-edit", vpbench, SIZE)
    assert [clip.task for clip in clips[:3]] == ["edit", "remove", "edit"] and clips[1].group == "remove"
    assert clips[0].open().truth_FHWC is None and clips[0].target == "a disc"


def test_a_bad_row_is_a_clip_with_a_fault(vpbench):
    clip = vpbench_clips("vpbench-s", vpbench)[3]
    with pytest.raises(UserError, match=r"nothing\.avi.* is neither"):
        clip.open()


def test_missing_tables_are_one_line(tmp_path):
    for name, (file, *_) in VPBENCH_TABLES.items():
        with pytest.raises(UserError, match=f"has no {file}: expected the folder of VPBench"):
            vpbench_clips(name, tmp_path)
    with pytest.raises(UserError, match="needs the folders JPEGImages_432_240 and test_masks"):
        davis_clips(tmp_path)


def test_davis_pairs_captions_by_sorted_position(tmp_path):
    root = tmp_path / "davis"
    for name in ("bear", "camel", "dog"):
        for part, images in (("JPEGImages_432_240", clip_files.moving(4, *SIZE)), ("test_masks", _square())):
            (root / part).mkdir(parents=True, exist_ok=True)
            clip_files.folder(root / part / name, images)
    lines = "Video_Index,Video_Caption,Masked_Target_Caption\n2,a camel walks,a camel\n1,a bear,a hole\n"
    (root / "davis_caption.csv").write_text(lines)
    bear, camel, dog = davis_clips(tmp_path)
    assert (camel.name, camel.prompt, camel.target) == ("camel", "a camel walks", "a camel") and bear.prompt == "a bear"
    inputs = camel.open()
    assert inputs.frames_FHWC.shape == (4, 480, 720, 3) and float(inputs.fps) == 8
    height = as_array(inputs.holes_FHW)[0].any(axis=1).sum()
    assert height == 8 * 480 // 32 + 2 * 4, "grown by four pixels at the scored size"
    with pytest.raises(UserError, match="has no caption of video 3"):
        dog.open()


def _square():
    hole_FHW = np.zeros((4, *SIZE), np.uint8)
    hole_FHW[:, 8:16, 8:24] = 255
    return hole_FHW
