"""Which source pixels the model sees: letterboxes, and crops that follow the hole; and back to the exact place."""

import numpy as np
import pytest

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media.canvas import resize_frames, resize_holes
from vp_jax.media.fit import FIT_NAMES, MARGIN, crop_boxes, fit_of
from vp_jax.media.frames import mapped
from vp_jax.media.pixel_box import PixelBox, box_around

MODEL = (48, 72)


def moving_hole(frames=40, size=(108, 192), side=20, pace=3, shake=0, empty=()):
    rng, holes_FHW = np.random.default_rng(0), np.zeros((frames, *size), bool)
    for frame in set(range(frames)) - set(empty):
        top, left = 40 + rng.integers(-shake, shake + 1), 8 + pace * frame + rng.integers(-shake, shake + 1)
        holes_FHW[frame, max(0, top) : top + side, max(0, left) : left + side] = True
    return holes_FHW


def test_stretching_is_what_resizing_is():
    frames, holes = clip_files.moving(3, 108, 192), moving_hole(3)
    fit = fit_of("stretch", holes, MODEL)
    np.testing.assert_array_equal(fit.frames(frames), resize_frames(frames, *MODEL))
    np.testing.assert_array_equal(fit.holes(holes), resize_holes(holes, *MODEL))
    small = resize_frames(frames, *MODEL)
    np.testing.assert_array_equal(fit.picture(small[1], 1), resize_frames(small[1:2], 108, 192)[0])


@pytest.mark.parametrize("size", [(108, 192), (192, 108), (72, 72), (30, 200)])
def test_a_letterbox_keeps_the_aspect_and_comes_back_at_the_source_s_size(size):
    frames, holes = clip_files.moving(2, *size), np.zeros((2, *size), bool)
    holes[:, 4:12, -8:] = True
    fit = fit_of("letterbox", holes, MODEL)
    seen, marked = fit.frames(frames), fit.holes(holes)
    assert seen.shape == (2, *MODEL, 3) and marked.shape == (2, *MODEL)
    inside = fit.inside
    assert abs(inside.width / inside.height / (size[1] / size[0]) - 1) < 1 / min(inside.size)
    np.testing.assert_array_equal(seen[:, inside.rows, inside.columns], resize_frames(frames, *inside.size))
    assert fit.picture(seen[0], 0).shape == (*size, 3)
    if inside.width < MODEL[1]:  # what repeats the rim of a hole is hole too: nothing old is left to see
        right = slice(inside.left + inside.width, None)
        np.testing.assert_array_equal(marked[:, inside.rows, right].all(2), marked[:, inside.rows, right].any(2))
        assert marked[:, :, -1].any() and not marked[:, :, 0].any()


@pytest.mark.parametrize("shake", [0, 6])
@pytest.mark.parametrize("side, pace", [(20, 3), (20, 0), (60, 1), (100, 2), (4, 4)])
def test_a_crop_contains_the_hole_of_every_frame(side, pace, shake):
    holes = moving_hole(side=side, pace=pace, shake=shake, empty=(0, 7, 8, 39))
    fit = fit_of("crop", holes, MODEL)
    back = np.zeros_like(holes)
    for frame, marked in enumerate(fit.holes(holes)):
        box = fit.box(frame)
        back[frame, box.rows, box.columns] = True
        assert marked.any() == holes[frame].any()
        assert 0 <= box.top and box.top + box.height <= 108 and 0 <= box.left and box.left + box.width <= 192
    assert not (holes & ~back).any()


def test_a_crop_of_a_small_hole_has_the_source_s_own_pixels_and_puts_them_back():
    frames, holes = clip_files.moving(40, 108, 192), moving_hole(side=12)
    fit = fit_of("crop", holes, MODEL)
    assert fit.detail == 1 and len(fit.boxes) == 40 and {box.size for box in fit.boxes} == {MODEL}
    seen = fit.frames(frames[5:9], first=5)
    for number, frame in enumerate(seen, start=5):
        box, placed = fit.box(number), fit.picture(frame, number)
        np.testing.assert_array_equal(frame, frames[number, box.rows, box.columns])
        np.testing.assert_array_equal(placed[box.rows, box.columns], frame)
        assert placed.sum() == frame.sum()


def test_a_hole_that_stays_in_place_is_seen_by_a_still_camera():
    holes = moving_hole(side=12, pace=0, shake=8)
    fit = fit_of("crop", holes, MODEL)
    assert len(fit.boxes) == 1 and fit.detail == 1
    rows, columns = (np.flatnonzero(holes.any((0, axis))) for axis in (2, 1))
    box = fit.boxes[0]
    assert rows[0] - box.top >= MARGIN * 48 and box.top + box.height - rows[-1] > MARGIN * 48
    assert columns[-1] < box.left + box.width


def test_the_boxes_of_streamed_holes_are_those_of_an_array():
    holes = moving_hole(side=12, empty=(0, 7))
    streamed = mapped(holes, lambda _, hole: hole, holes.shape[1:])
    for name in FIT_NAMES:
        assert fit_of(name, streamed, MODEL) == fit_of(name, holes, MODEL)


def test_the_way_of_a_crop_is_smooth():
    holes = moving_hole(80, (108, 400), side=12, pace=4, shake=6)
    lefts = np.array([box.left for box in crop_boxes(holes, MODEL)])
    hole_lefts = holes.any(1).argmax(1)
    assert len(set(lefts)) > 20
    assert np.abs(np.diff(lefts, 2)).max() <= 2 < np.abs(np.diff(hole_lefts, 2)).max()


def test_a_large_hole_scales_the_crop_down_and_a_small_source_is_not_enlarged_past_itself():
    large = fit_of("crop", moving_hole(side=60, pace=0), MODEL)
    assert 60 / large.boxes[0].height <= 1 - 2 * MARGIN + 0.01 and large.detail < 1
    small = np.zeros((3, 40, 50), bool)
    small[:, 10:18, 20:28] = True
    tiny = fit_of("crop", small, MODEL)
    assert tiny.boxes[0].size == (40, 50) and tiny.inside.height == 48 and tiny.inside.width < 72


def test_an_unknown_fit_is_named():
    with pytest.raises(UserError, match="fit zoom: expected stretch, letterbox or crop"):
        fit_of("zoom", moving_hole(2), MODEL)


def test_the_box_of_a_hole_has_a_margin_within_the_frame():
    hole_HW = np.zeros((40, 60), bool)
    assert box_around(hole_HW, 3) == PixelBox(0, 0, 0, 0)
    hole_HW[10:15, 58] = True
    assert box_around(hole_HW, 0) == PixelBox(10, 58, 5, 1)
    assert box_around(hole_HW, 3) == PixelBox(7, 55, 11, 5)
