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
from vp_jax.media.masks import dilate


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


def only(family: str, **changes) -> MaskAugment:
    """This family alone, at every clip."""
    shares = {f"p_{name}": float(name == family) for name in FAMILIES}
    return MaskAugment(**{"probability": 1.0, **shares, **changes})


def noise() -> np.ndarray:
    return (np.random.default_rng(9).random((3, 40, 50)) < 0.5).astype(np.uint8)


def changes_probability():
    masks_FHW, rng = noise(), np.random.default_rng(0)
    assert all(only("circle", probability=0.0)(masks_FHW, rng) is masks_FHW for _ in range(50))
    assert all(only("circle", probability=1.0)(masks_FHW, rng) is not masks_FHW for _ in range(50))
    changed = sum(only("circle", probability=0.6)(masks_FHW, rng) is not masks_FHW for _ in range(500))
    assert abs(changed - 300) < 4 * math.sqrt(500 * 0.24)


def picks(family):
    """With its share 1 the family comes every time, with 0 never."""

    def check(monkeypatch):
        seen: list[str] = []
        monkeypatch.setattr(MaskAugment, "apply", lambda self, name, masks_FHW, rng: seen.append(name) or masks_FHW)
        rng, other = np.random.default_rng(0), next(name for name in FAMILIES if name != family)
        for augment, want in ((only(family), {family}), (only(other), {other})):
            seen.clear()
            for _ in range(50):
                augment(noise(), rng)
            assert set(seen) == want
        seen.clear()
        half = only(family, **{f"p_{family}": 0.5, f"p_{other}": 0.5})
        for _ in range(400):
            half(noise(), rng)
        assert abs(seen.count(family) - 200) < 4 * math.sqrt(400 * 0.25)

    return check


def circle(augment: MaskAugment, seed: int) -> tuple[int, int, int, int]:
    """Box of the disc that is drawn about the box 30..69 x 40..79 of `moving_box`."""
    return box_of(augment(moving_box(frames=1), np.random.default_rng(seed))[0])


def changes_margin_ratio():
    """Drawn margins below ratio * 120 pixels: none for 0, and with it the disc about the box never moves."""
    fixed = {circle(only("circle", margin_ratio=0.0, scale_min=1, scale_max=1), seed) for seed in range(20)}
    assert fixed == {(30, 68, 40, 78)}  # radius 39 // 2, about (49, 59)
    for ratio, reach in ((0.1, 12), (0.4, 48)):
        boxes = [circle(only("circle", margin_ratio=ratio, scale_min=1, scale_max=1), seed) for seed in range(200)]
        widths = [right - left for left, right, _, _ in boxes]
        assert reach < max(widths) - 38 <= 2 * reach and len(set(boxes)) > 50


def changes_scale_min():
    """The same draws from a higher least size: no disc is smaller, the small ones grow."""
    sizes = {
        least: [
            np.subtract(*circle(only("circle", margin_ratio=0, scale_min=least, scale_max=2), seed)[1::-1])
            for seed in range(200)
        ]
        for least in (1, 1.8)
    }
    assert min(sizes[1]) in range(38, 42) and min(sizes[1.8]) in range(68, 72)
    assert max(sizes[1]) in range(75, 79) and max(sizes[1.8]) in range(75, 79)


def changes_scale_max():
    sizes = {
        most: [
            np.subtract(*circle(only("circle", margin_ratio=0, scale_min=1, scale_max=most), seed)[1::-1])
            for seed in range(200)
        ]
        for most in (1.2, 2)
    }
    assert min(sizes[1.2]) == min(sizes[2]) == 38
    assert max(sizes[1.2]) in range(44, 48) and max(sizes[2]) in range(75, 79)


def changes_kernel():
    """A kernel of 1 changes nothing (but for smoothing, one in ten); larger ones grow or shrink by their size."""
    masks_FHW = moving_box()
    assert all(
        (only("brush", kernel=1)(masks_FHW, np.random.default_rng(seed)) == masks_FHW).all() for seed in range(20)
    )
    for size in (3, 9):
        areas = {int(only("brush", kernel=size)(masks_FHW, np.random.default_rng(seed)).sum()) for seed in range(40)}
        assert max(areas) == 7 * (40 + size - 1) ** 2, "dilated"


def changes_grow():
    """By so many pixels on each side, as the sampler grows masks, before a family is drawn."""
    masks_FHW = moving_box()
    grown = MaskAugment(grow=3, probability=0)(masks_FHW, np.random.default_rng(0))
    np.testing.assert_array_equal(grown, dilate(masks_FHW > 0, 3))
    assert grown.dtype == np.uint8
    left, _, _, _ = circle(only("circle", margin_ratio=0, scale_min=1, scale_max=1, grow=4), 0)
    assert left < circle(only("circle", margin_ratio=0, scale_min=1, scale_max=1), 0)[0]


KNOBS = {
    "grow": changes_grow,
    "probability": changes_probability,
    **{f"p_{family}": picks(family) for family in FAMILIES},
    "margin_ratio": changes_margin_ratio,
    "scale_min": changes_scale_min,
    "scale_max": changes_scale_max,
    "kernel": changes_kernel,
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(MaskAugment)])
def test_every_setting_changes_what_it_says(field, monkeypatch):
    check = KNOBS[field]
    check(monkeypatch) if field.startswith("p_") else check()


def test_one_brush_in_ten_is_smoothed():
    """A kernel of 1 leaves only the smoothing, which noise shows."""
    masks_FHW, smoothed = noise(), np.stack([smooth(mask_HW) for mask_HW in noise()])
    draws = [brush(masks_FHW, np.random.default_rng(seed), kernel=1) for seed in range(1000)]
    assert all((draw == masks_FHW).all() or (draw == smoothed).all() for draw in draws)
    count = sum((draw == smoothed).all() for draw in draws)
    assert abs(count - 100) < 4 * math.sqrt(1000 * 0.09)


def test_a_moving_rectangle_is_about_the_boxes_of_five_frames():
    """Not of one: an object that appears and disappears at its edge does not make the shape flicker."""
    masks_FHW = np.zeros((7, 60, 80), np.uint8)
    for frame, width in enumerate((6, 20, 4, 9, 5, 30, 3)):
        masks_FHW[frame, 20 + frame : 31 + frame, 25 - width // 2 : 26 + width // 2] = 1
    rectangles = 0
    for seed in range(30):
        if str(np.random.default_rng(seed).choice(["rect", "ellipse"])) != "rect":
            continue
        got_FHW = moving_shape(masks_FHW, np.random.default_rng(seed), 1.0, 1.0)
        for frame, got_HW in enumerate(got_FHW):
            union = box_of(masks_FHW[max(0, frame - 2) : frame + 3].any(axis=0))
            assert np.abs(np.subtract(box_of(got_HW), union)).max() <= 1, frame
        rectangles += 1
    assert rectangles > 5


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
