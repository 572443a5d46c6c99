"""Stretching and pasting: the source survives bit for bit, the hole is never cut."""

from fractions import Fraction

import numpy as np
import pytest

from tests import clip_files
from vp_jax.media import canvas

SOURCE = clip_files.moving(3, 45, 61)
RESULT = 255 - SOURCE
HOLES = np.zeros((3, 45, 61), bool)
HOLES[:, 10:31, 20:52] = True
HOLES[1, :, :9] = True  # at the frame's edge


@pytest.mark.parametrize("feather", [0, 1, 4, 30])
def test_outside_is_the_source_bit_for_bit(feather):
    before = SOURCE.copy()
    out = canvas.composite(SOURCE, RESULT, HOLES, feather)
    np.testing.assert_array_equal(out[~HOLES], SOURCE[~HOLES])
    np.testing.assert_array_equal(SOURCE, before)


def test_without_feather_inside_is_the_result():
    out = canvas.composite(SOURCE, RESULT, HOLES)
    np.testing.assert_array_equal(out[HOLES], RESULT[HOLES])


def test_feather_is_a_ramp_by_depth_that_ignores_the_frames_edge():
    white = np.full_like(SOURCE, 255)
    out = canvas.composite(np.zeros_like(SOURCE), white, HOLES, feather=4)[..., 0]
    assert out[0, 20, 18:27].tolist() == [0, 0, 51, 102, 153, 204, 255, 255, 255]
    assert out[0, 10:16, 35].tolist() == [51, 102, 153, 204, 255, 255]
    assert out[1, 22, :11].tolist() == [255] * 5 + [204, 153, 102, 51, 0, 0]


def test_equal_sizes_are_left_alone():
    assert canvas.resize_frames(SOURCE, 45, 61) is SOURCE
    assert canvas.resize_holes(HOLES, 45, 61) is HOLES


def test_frames_are_averaged_when_reduced():
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    frames = np.repeat(checks[None, :, :, None], 3, axis=3).astype(np.uint8)
    small = canvas.resize_frames(frames, 16, 16)
    assert small.shape == (1, 16, 16, 3) and small.dtype == np.uint8
    assert np.abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("size", [(32, 48), (16, 16), (90, 122), (64, 40)], ids=str)
def test_any_touched_pixel_is_hole(size):
    points = np.zeros((1, 45, 61), bool)
    points[0, 7, 13] = points[0, 44, 60] = True
    small = canvas.resize_holes(points, *size)
    assert small.shape == (1, *size) and small.dtype == bool
    expected = np.zeros(size, bool)
    for y, x in ((7, 13), (44, 60)):
        rows = [r for r in range(size[0]) if Fraction(45 * r, size[0]) < y + 1 and Fraction(45 * (r + 1), size[0]) > y]
        cols = [c for c in range(size[1]) if Fraction(61 * c, size[1]) < x + 1 and Fraction(61 * (c + 1), size[1]) > x]
        expected[np.ix_(rows, cols)] = True
    np.testing.assert_array_equal(small[0], expected)


@pytest.mark.parametrize("paste, feather", [(True, 0), (True, 3), (False, 0)])
def test_finished_frames_are_those_of_the_whole_arrays(paste, feather):
    small = canvas.resize_frames(RESULT, 32, 48)[:2]  # reference mode makes fewer frames than there are
    finished = canvas.Finished(SOURCE, HOLES, small, paste=paste, feather=feather)
    whole = canvas.resize_frames(small, 45, 61)
    want = canvas.composite(SOURCE[:2], whole, HOLES[:2], feather) if paste else whole
    np.testing.assert_array_equal(np.stack(finished), want)
    np.testing.assert_array_equal(np.stack(finished[-2:]), want)
    np.testing.assert_array_equal(finished[-1], want[1])
    with pytest.raises(IndexError):
        finished[2]


def test_a_feather_wider_than_the_hole_costs_no_more_than_the_hole_is_deep(monkeypatch):
    calls, dilate = [], canvas.dilate
    monkeypatch.setattr(canvas, "dilate", lambda *args: calls.append(1) or dilate(*args))
    wide = canvas.composite(SOURCE[:1], RESULT[:1], HOLES[:1], feather=1000)
    depth = np.minimum(np.arange(1, 22), np.arange(21, 0, -1))[:, None]  # rows 10 to 30: the hole's shorter side
    assert len(calls) == 11
    column = 36  # in the middle of the hole: the nearest kept pixel is above or below
    expected = SOURCE[0, 10:31, column] + depth / 1001 * (
        RESULT[0, 10:31, column] - SOURCE[0, 10:31, column].astype(float)
    )
    np.testing.assert_allclose(wide[0, 10:31, column], expected, atol=0.51)


def test_a_hole_without_a_rim_is_all_result_at_any_feather():
    everything = np.ones((1, 45, 61), bool)
    np.testing.assert_array_equal(canvas.composite(SOURCE[:1], RESULT[:1], everything, feather=1000), RESULT[:1])


@pytest.mark.parametrize("old, new", [((480, 720), (1080, 1920)), ((48, 72), (45, 61)), ((64, 96), (192, 96))])
def test_a_part_of_a_stretched_frame_is_what_it_is_in_the_complete_one(old, new):
    frame_HWC = np.random.default_rng(0).integers(0, 256, (*old, 3), np.uint8)
    complete_HWC = canvas.resize_frames(frame_HWC[None], *new)[0]
    for rows, columns in (
        (slice(7, 31), slice(11, 50)),
        (slice(0, 9), slice(0, new[1])),
        (slice(40, new[0]), slice(3, 4)),
    ):
        part_HWC = canvas.resize_part(frame_HWC, new, (rows, columns))
        assert part_HWC.shape == complete_HWC.shape
        np.testing.assert_array_equal(part_HWC[rows, columns], complete_HWC[rows, columns])
    assert not canvas.resize_part(frame_HWC, new, (slice(0, 0), slice(0, 0))).any()


def test_a_new_pixel_is_hole_where_any_old_one_that_it_overlaps_is():
    hole_HW = np.random.default_rng(0).random((50, 70)) < 0.01
    hole_HW[:9], hole_HW[:, 60:] = False, False
    for rows, columns in ((16, 32), (64, 96), (50, 21)):
        want = [
            [
                hole_HW[
                    r * 50 // rows : -(-(r + 1) * 50 // rows), c * 70 // columns : -(-(c + 1) * 70 // columns)
                ].any()
                for c in range(columns)
            ]
            for r in range(rows)
        ]
        np.testing.assert_array_equal(canvas.resize_holes(hole_HW[None], rows, columns)[0], want)
    assert not canvas.resize_holes(np.zeros((1, 50, 70), bool), 16, 32).any()
