"""The mask families: shapes against OpenCV, what each promises, and the published probabilities."""

import math
from collections import Counter

import cv2
import numpy as np
import pytest

from vp_jax.data.augment import (
    FAMILIES,
    MaskAugment,
    box_of,
    brush,
    draw_shape,
    moving_shape,
    random_brush,
    static_shape,
)
from vp_jax.data.morphology import opencv_dilate, opencv_erode
from vp_jax.errors import UserError


def moving_box(frames: int = 7, H: int = 120, W: int = 160) -> np.ndarray:
    masks_FHW = np.zeros((frames, H, W), np.uint8)
    for frame in range(frames):
        masks_FHW[frame, 40:80, 30 + 8 * frame : 70 + 8 * frame] = 1
    return masks_FHW


@pytest.mark.parametrize("kind", ["rect", "ellipse"])
def test_shapes_are_opencv_s_within_a_pixel(kind):
    rng = np.random.default_rng(0)
    kernel, area, missed = np.ones((3, 3), np.uint8), 0, 0
    for _ in range(200):
        H, W = (int(size) for size in rng.integers(100, 400, size=2))
        centre, degrees = (int(rng.integers(0, W)), int(rng.integers(0, H))), rng.uniform(0, 360)
        half = rng.uniform(5, 100, size=2)
        want_HW = np.zeros((H, W), np.uint8)
        if kind == "rect":
            corners = cv2.boxPoints((centre, (2 * half[0], 2 * half[1]), degrees)).astype(np.int32)
            cv2.fillPoly(want_HW, [corners], 1)
        else:
            half = half.astype(int)
            cv2.ellipse(want_HW, centre, tuple(int(size) for size in half), degrees, 0, 360, 1, -1)
        got_HW = draw_shape(kind, (H, W), centre, tuple(half), degrees)
        assert not (want_HW & ~cv2.dilate(got_HW, kernel) & 1).any()
        missed += int((cv2.erode(got_HW, kernel) & (1 - want_HW)).sum())
        area += int(want_HW.sum())
    # sharp corners of thin slanted rectangles are the few that differ
    assert missed <= 1e-4 * area


def test_brush_is_one_of_four_for_the_whole_clip():
    masks_FHW = moving_box()
    kinds = [
        (opencv_dilate, opencv_erode),
        (opencv_erode, opencv_dilate),
        (opencv_dilate,),
        (opencv_erode, opencv_dilate, opencv_dilate, opencv_erode),
    ]
    wanted = []
    for steps in kinds:
        changed_FHW = masks_FHW
        for step in steps:
            changed_FHW = np.stack([step(mask_HW) for mask_HW in changed_FHW])
        wanted.append(changed_FHW)
    seen = set()
    for seed in range(40):
        got_FHW = brush(masks_FHW, np.random.default_rng(seed))
        # smoothing (one in ten) leaves boxes as they are
        matches = [place for place, want_FHW in enumerate(wanted) if (got_FHW == want_FHW).all()]
        assert matches
        seen.update(matches)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", ["rect", "ellipse", "circle"])
def test_static_shapes_stay_where_the_first_frame_put_them(kind):
    masks_FHW = moving_box()
    for seed in range(20):
        got_FHW = static_shape(kind, masks_FHW, np.random.default_rng(seed), 0.1, 1.1, 1.5)
        assert got_FHW.shape == masks_FHW.shape and got_FHW.any()
        assert (got_FHW == got_FHW[0]).all()
        left, right, top, bottom = box_of(got_FHW[0])
        # at most the box with its margins, 1.5 times as long, turned
        reach = 1.5 * math.hypot(40 + 24, 40 + 24) / 2 + 12 + 2
        assert left >= 50 - reach and right <= 50 + reach and top >= 60 - reach and bottom <= 60 + reach


def test_static_shape_of_an_empty_first_frame_changes_nothing():
    masks_FHW = moving_box()
    masks_FHW[0] = 0
    assert static_shape("rect", masks_FHW, np.random.default_rng(0), 0.1, 1.1, 1.5) is masks_FHW


@pytest.mark.parametrize("side", [4, 9])
def test_small_images_have_no_margin_and_do_not_fail(side):
    masks_FHW = np.ones((2, side, side), np.uint8)
    for family in FAMILIES:
        assert MaskAugment().apply(family, masks_FHW, np.random.default_rng(0)).shape == masks_FHW.shape


def test_moving_shape_covers_the_object_in_every_frame_and_follows_it():
    masks_FHW = moving_box(frames=9)
    masks_FHW[4] = 0
    for seed in range(20):
        got_FHW = moving_shape(masks_FHW, np.random.default_rng(seed), 1.1, 1.5)
        assert not (masks_FHW & (1 - got_FHW)).any()
        assert not got_FHW[4].any()
        first, last = box_of(got_FHW[0]), box_of(got_FHW[-1])
        assert last[1] > first[1] and last[0] > first[0]


def test_strokes_are_one_drawing_for_all_frames_and_empty_one_time_in_twenty():
    drawings = [random_brush(120, 160, np.random.default_rng(seed)) for seed in range(400)]
    empty = sum(not drawing_HW.any() for drawing_HW in drawings)
    assert 8 <= empty <= 36  # 5 % of 400: mean 20, standard deviation 4.4
    masks_FHW = moving_box()
    got_FHW = MaskAugment().apply("random_brush", masks_FHW, np.random.default_rng(1))
    assert (got_FHW == got_FHW[0]).all() and set(np.unique(got_FHW)) <= {0, 1}


def test_families_come_as_often_as_published(monkeypatch):
    """70 % untouched, 12 % brush, 3 % each shape, 9 % strokes; within four standard deviations."""
    seen: Counter = Counter()
    monkeypatch.setattr(MaskAugment, "apply", lambda self, family, masks_FHW, rng: seen.update([family]) or masks_FHW)
    rng, draws = np.random.default_rng(0), 20_000
    for _ in range(draws):
        MaskAugment()(np.zeros((1, 2, 2), np.uint8), rng)
    wanted = {"brush": 0.12, "rect": 0.03, "ellipse": 0.03, "circle": 0.03, "random_brush": 0.09, "moving_shape": 0}
    for family, share in wanted.items():
        assert abs(seen[family] - share * draws) <= 4 * math.sqrt(draws * share * (1 - share)), family
    assert abs(sum(seen.values()) - 0.3 * draws) <= 4 * math.sqrt(draws * 0.3 * 0.7)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    with pytest.raises(UserError, match="expected a sum of 1"):
        MaskAugment(p_brush=0.9)
