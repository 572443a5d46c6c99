"""The mask families: shapes against OpenCV, what each promises, and the published probabilities."""

import dataclasses
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
from vp_jax.data.morphology import opencv_dilate, opencv_erode, smooth
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


FIELDS = {field.name for field in dataclasses.fields(MaskAugment)}
TESTED = {
    "probability", *(f"p_{family}" for family in FAMILIES), "margin_ratio", "scale_min", "scale_max", "kernel",
}  # fmt: skip


def test_every_field_has_a_test_of_its_value_below():
    assert FIELDS == TESTED


@pytest.mark.parametrize("probability, share", [(0.0, 0.0), (0.3, 0.3), (0.8, 0.8), (1.0, 1.0)])
def test_probability_is_how_often_masks_are_changed(probability, share):
    masks_FHW, rng, draws = np.ones((1, 8, 9), np.uint8), np.random.default_rng(0), 2000
    augment = MaskAugment(
        probability=probability, kernel=2, p_brush=1, p_rect=0, p_ellipse=0, p_circle=0, p_random_brush=0
    )
    changed = sum(augment(masks_FHW, rng) is not masks_FHW for _ in range(draws))
    assert abs(changed - share * draws) <= 4 * math.sqrt(draws * share * (1 - share))


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_s_probability_chooses_that_family(monkeypatch, family):
    seen: set[str] = set()
    monkeypatch.setattr(MaskAugment, "apply", lambda self, name, masks_FHW, rng: seen.add(name) or masks_FHW)
    weights = {f"p_{name}": float(name == family) for name in FAMILIES}
    augment = MaskAugment(probability=1, **weights)
    for seed in range(20):
        augment(moving_box(1), np.random.default_rng(seed))
    assert seen == {family}


def centred_box(frames: int = 1) -> np.ndarray:
    """A box far from the edges of its frame, 39 pixels between its first and last column and row."""
    masks_FHW = np.zeros((frames, 600, 600), np.uint8)
    masks_FHW[:, 280:320, 280:320] = 1
    return masks_FHW


def circle_radius(augment: MaskAugment, seed: int) -> float:
    """Half the width of the circle that is drawn about `centred_box`."""
    left, right, top, bottom = box_of(augment.apply("circle", centred_box(), np.random.default_rng(seed))[0])
    assert abs((right - left) - (bottom - top)) <= 1
    return (right - left) / 2


def test_scales_are_the_ends_of_the_range_of_sizes():
    for scale in (1.0, 2.0, 3.0):
        fixed = MaskAugment(margin_ratio=0, scale_min=scale, scale_max=scale)
        assert {circle_radius(fixed, seed) for seed in range(5)} == {int(39 * scale / 2)}
    drawn = [circle_radius(MaskAugment(margin_ratio=0, scale_min=1.0, scale_max=3.0), seed) for seed in range(80)]
    assert 19 <= min(drawn) <= 21 and 56 <= max(drawn) <= 58 and abs(np.mean(drawn) - 39) < 4
    lifted = [circle_radius(MaskAugment(margin_ratio=0, scale_min=2.5, scale_max=3.0), seed) for seed in range(20)]
    assert min(lifted) >= 48


@pytest.mark.parametrize("ratio, most", [(0.0, 0), (0.1, 59), (0.25, 149)])
def test_the_margin_is_drawn_up_to_its_share_of_the_smaller_side(ratio, most):
    augment = MaskAugment(margin_ratio=ratio, scale_min=1.0, scale_max=1.0)
    grown = [2 * circle_radius(augment, seed) - 38 for seed in range(60)]  # two margins, each from 0 to ``most``
    assert min(grown) >= 0 and max(grown) <= 2 * most + 1
    assert max(grown) >= 1.3 * most and np.mean(grown) >= 0.9 * most


def test_moving_shapes_have_the_scales_too():
    masks_FHW = centred_box(3)
    for scale in (1.0, 1.5, 2.0):
        augment = MaskAugment(scale_min=scale, scale_max=scale)
        boxes = {box_of(augment.apply("moving_shape", masks_FHW, np.random.default_rng(seed))[1]) for seed in range(8)}
        widths = {right - left for left, right, _, _ in boxes}
        expected = {round(39 * scale), round(39 * scale * math.sqrt(2))}  # a box, and the ellipse around it
        assert len(widths) == 2 and all(min(abs(w - e) for e in expected) <= 2 for w in widths), (widths, expected)


def test_moving_shapes_draw_both_sides_between_the_scales():
    augment, sides = MaskAugment(scale_min=1.0, scale_max=3.0), []
    for seed in range(40):
        left, right, top, bottom = box_of(augment.apply("moving_shape", centred_box(), np.random.default_rng(seed))[0])
        sides.append((right - left, bottom - top))
    assert min(map(min, sides)) >= 38 and 120 < max(map(max, sides)) <= 3 * 39 * math.sqrt(2) + 2
    assert sum(abs(width - height) > 4 for width, height in sides) > 20, "each side has its own scale"


@pytest.mark.parametrize("kernel", [2, 9, 20])
def test_the_kernel_is_that_of_the_morphology(kernel):
    masks_FHW, augment = moving_box(2), MaskAugment(kernel=kernel)
    got = [augment.apply("brush", masks_FHW, np.random.default_rng(seed)) for seed in range(30)]
    grown_FHW = np.stack([cv2.dilate(mask_HW, np.ones((kernel, kernel), np.uint8)) for mask_HW in masks_FHW])
    assert any((one == grown_FHW).all() for one in got)
    assert max(one.sum() for one in got) == grown_FHW.sum(), "no morphology of the recipe grows more"


def test_one_brush_in_ten_is_smoothed():
    """With a kernel of one pixel the morphology changes nothing, and smoothing removes the specks."""
    specks_FHW = np.zeros((2, 12, 12), np.uint8)
    specks_FHW[:, 2::4, 2::4] = 1
    smoothed_FHW = np.stack([smooth(mask_HW) for mask_HW in specks_FHW])
    assert not smoothed_FHW.any()
    draws, smoothed = 3000, 0
    for seed in range(draws):
        got_FHW = brush(specks_FHW, np.random.default_rng(seed), kernel=1)
        assert (got_FHW == specks_FHW).all() or (got_FHW == smoothed_FHW).all()
        smoothed += not got_FHW.any()
    assert abs(smoothed - 0.1 * draws) <= 4 * math.sqrt(draws * 0.1 * 0.9)


def test_moving_shapes_are_widened_over_exactly_two_frames_on_either_side():
    """An object that jumps to and fro: its shape reaches where it was and will be, so that it does not flicker."""
    masks_FHW = np.zeros((11, 120, 300), np.uint8)
    lefts = [100, 20, 180, 100, 60, 220, 30, 120, 200, 90, 150]
    for mask_HW, left in zip(masks_FHW, lefts):
        mask_HW[40:60, left : left + 30] = 1
    boxes = 0
    for seed in range(12):
        got_FHW = moving_shape(masks_FHW, np.random.default_rng(seed), 1.0, 1.0)
        near = [lefts[max(0, frame - 2) : frame + 3] for frame in range(11)]
        for frame, got_HW in enumerate(got_FHW):
            reach_HW = np.zeros_like(got_HW)
            reach_HW[40:60, min(near[frame]) : max(near[frame]) + 30] = 1
            assert not (reach_HW & (1 - got_HW)).any()
        if all((got_HW[40:60].all(0) == got_HW.any(0)).all() for got_HW in got_FHW):  # rectangles
            boxes += 1
            for frame, got_HW in enumerate(got_FHW):
                left, right, _, _ = box_of(got_HW)
                assert abs(left - min(near[frame])) <= 1 and abs(right - (max(near[frame]) + 29)) <= 1
    assert 0 < boxes < 12
