"""A mask that nobody meant is named before the run: inverted, jumping, flickering, sprinkled with specks."""

import numpy as np
import pytest

from bench.nano import cases
from vp_jax.media.mask_check import check_masks

SIZE = (10, 96, 144)


def box(frames=range(10), rows=slice(30, 60), columns=slice(40, 90)):
    holes = np.zeros(SIZE, bool)
    for frame in frames:
        holes[frame, rows, columns] = True
    return holes


def test_a_plain_mask_has_no_findings():
    found = check_masks(box())
    assert found.notes == () and found.frames == ()
    np.testing.assert_allclose(found.area_F, 30 * 50 / (96 * 144))


def test_a_moving_hole_that_enters_and_leaves_has_no_findings():
    holes = np.zeros(SIZE, bool)
    for frame in range(2, 9):
        holes[frame, 20 : 20 + 6 * frame, 10 * frame : 10 * frame + 30] = True
    assert check_masks(holes).notes == ()


def test_holes_of_drawn_things_have_no_findings_but_real_ones():
    """Things leave the picture and pass behind others; of 32 clips no more than a few are worth a question."""
    noted = [check_masks(clip.holes_FHW).notes for clip in cases.inpainting(32)]
    assert sum(map(bool, noted)) <= 3, noted


def test_an_inverted_mask_is_asked_about_with_its_share():
    holes = ~box()
    assert check_masks(holes).notes == (
        "89 % of all pixels are marked: is the mask inverted? `invert_mask` turns it round",
    )


@pytest.mark.parametrize(
    "lost, text",
    [
        ([4], "frame 4 is without a hole"),
        ([4, 5], "frames 4 to 5 are without a hole"),
        ([2, 5], "frames 2 and 5 are without a hole"),
    ],
)
def test_frames_where_the_hole_is_lost_are_named(lost, text):
    found = check_masks(box(frames=[frame for frame in range(10) if frame not in lost]))
    assert found.notes[0].startswith(text) and found.frames == tuple(lost)


def test_a_hole_that_comes_back_later_is_no_loss():
    assert check_masks(box(frames=[0, 1, 2, 8, 9])).notes == ()


def test_a_frame_marked_completely_is_named():
    holes = box()
    holes[3:5] = True
    assert "frames 3 to 4 are marked completely" in check_masks(holes).notes[0]


def test_a_hole_elsewhere_and_a_hole_of_another_size_are_jumps():
    elsewhere, larger = box(frames=range(5)), box(frames=range(7))
    elsewhere[5:, 70:90, 100:130] = True
    larger[7:, 0:80, 10:120] = True
    assert check_masks(elsewhere).notes == ("the hole jumps at frame 5: another place or size than one frame before",)
    assert check_masks(larger).frames == (7,)


def test_specks_are_counted_and_a_small_object_alone_is_none():
    holes = box()
    holes[2, 5, 5] = holes[2, 80, 130] = holes[7, 5, 5] = True
    found = check_masks(holes)
    assert found.notes == ("3 specks beside larger holes, in frames 2 and 7: noise of the mask?",)
    small = box(rows=slice(40, 42), columns=slice(50, 52))
    assert check_masks(small).notes == ()


def test_parts_near_a_larger_one_belong_to_it():
    holes = box()
    holes[:, 26:28, 60:64] = holes[:, 62, 50] = True
    assert check_masks(holes).notes == ()


def test_frames_are_read_once_and_one_at_a_time():
    assert check_masks(iter(box())).area_F.shape == (10,)


def test_many_frames_are_shortened():
    found = check_masks(box(frames=[0, 2, 4, 6, 8, 9]))
    assert found.notes[0].startswith("frames 1, 3, 5 and 7 are")
    holes = box()
    for frame in (0, 2, 4, 6, 8):
        holes[frame, 0, 0] = True
    assert "in frames 0, 2, 4 and 2 more" in check_masks(holes).notes[0]
