"""One video of many panels."""

from fractions import Fraction

import numpy as np

from vp_jax.media.video import read_video
from vp_jax.vpbench.montage import grid_of, with_hole, write_montage


def test_panels_are_as_large_as_a_page_needs_and_start_at_blocks():
    small, large = grid_of(64, 96, 10), grid_of(1080, 1920, 4)
    assert (small.height, small.width, small.columns) == (128, 192, 4)
    assert (large.height, large.width, large.columns) == (270, 480, 2)
    for grid in (small, large):
        assert all(side % 16 == 0 for number in range(4) for side in grid.place(number))
    assert small.place(5) == (128, 192) and large.place(3) == (272, 480)


def test_every_panel_is_in_its_place_and_shorter_ones_hold_their_last_frame(tmp_path):
    grid = grid_of(240, 320, 3)
    panels = [np.full((2, 240, 320, 3), value, np.uint8) for value in (250, 120)]
    write_montage(tmp_path / "m.mp4", [panels[0], None, panels[1][:1]], 2, Fraction(8), grid)
    frames_FHWC, fps = read_video(tmp_path / "m.mp4")
    assert len(frames_FHWC) == 2 and fps == 8
    for frame_HWC in frames_FHWC:
        for number, value in enumerate((250, 22, 120)):
            top, left = grid.place(number)
            part_HWC = frame_HWC[top + 4 : top + grid.height - 4, left + 4 : left + grid.width - 4]
            assert np.abs(part_HWC.astype(int) - value).max() <= 4


def test_the_hole_is_tinted_and_nothing_else():
    frame_HWC, hole_HW = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    hole_HW[2:4, 2:4] = True
    out_HWC = with_hole(frame_HWC, hole_HW)
    assert (out_HWC[hole_HW] == [128, 61, 30]).all() and not out_HWC[~hole_HW].any() and not frame_HWC.any()
