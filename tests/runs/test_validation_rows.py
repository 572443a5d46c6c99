"""Rows of a validation: PSNR and sharpness in the hole and outside, and fillings without a model, by hand."""

import numpy as np
import pytest

from vp_jax.inference.hole_fill import stretched_frame
from vp_jax.runs.validation_rows import (
    Samples,
    as_metrics,
    clip_psnr,
    hole_psnr,
    in_words,
    rows,
    scores,
)


def test_psnr_counts_the_hole_alone_or_the_whole_clip():
    original = np.full((1, 1, 8, 8, 3), 100, np.uint8)
    holes = np.zeros((1, 1, 8, 8), bool)
    holes[..., :2] = True
    result = original.copy()
    result[..., :2, :] += 51  # a fifth of the range in a quarter of the pixels
    samples = Samples(original, holes, result)
    assert hole_psnr(samples) == pytest.approx(-20 * np.log10(0.2), rel=1e-6)
    assert clip_psnr(samples) == pytest.approx(-10 * np.log10(0.25 * 0.2**2), rel=1e-6)
    assert np.isnan(hole_psnr(samples._replace(holes=np.zeros_like(holes))))


def moving_square():
    """A striped square that moves 4 pixels a frame and doubles in size once, on grey; the hole is its place."""
    frames, holes = np.full((1, 4, 32, 48, 3), 90, np.uint8), np.zeros((1, 4, 32, 48), bool)
    for number, (left, size) in enumerate(((4, 8), (8, 8), (12, 8), (16, 16))):
        stripes = np.repeat(np.arange(8) % 2 * 200, size // 8).astype(np.uint8)
        frames[0, number, 8 : 8 + size, left : left + size] = stripes[:, None, None]
        holes[0, number, 8 : 8 + size, left : left + size] = number > 0
    return frames, holes


def test_the_stretched_frame_is_frame_0_from_box_to_box():
    frames, holes = moving_square()
    frames[0, 0] = np.roll(frames[0, 0], 4, axis=1)  # the first box that is known is that of frame 1
    filled = stretched_frame(frames[0], holes[0])
    np.testing.assert_array_equal(filled[:3], frames[0, :3])
    np.testing.assert_array_equal(filled[3][~holes[0, 3]], frames[0, 3][~holes[0, 3]])
    assert np.corrcoef(filled[3][holes[0, 3]][:, 0], frames[0, 3][holes[0, 3]][:, 0])[0, 1] > 0.8, "twice as large"


def test_rows_are_those_that_the_clip_allows():
    frames, holes = moving_square()
    samples = Samples(frames, holes, frames)
    assert set(rows(samples, holes, frames)) == {"vae", "diffusion", "stretched_frame"}
    holes[0, 0, 8:16, 4:12] = True
    assert set(rows(samples, holes, None)) == {"diffusion"}, "frame 0 is not given"
    assert rows(samples._replace(holes=np.zeros_like(holes)), np.zeros_like(holes), None) == {}


def test_a_filling_reads_nothing_that_the_model_does_not_see():
    """The judged hole is smaller than what is unseen: what lies between has no influence."""
    frames, holes = moving_square()
    unseen = np.zeros_like(holes)
    unseen[:, 1:, 4:28, 4:40] = True
    other = frames.copy()
    other[unseen & ~holes] = 255
    pair = [rows(Samples(one, holes, one), unseen, None)["diffusion"]["hole_psnr"] for one in (frames, other)]
    assert pair[0] == pair[1]


def test_blur_costs_sharpness_and_the_truth_has_one():
    frames, holes = moving_square()
    assert scores(Samples(frames, holes, frames))["hole_sharpness"] == pytest.approx(1)
    grey = np.where(holes[..., None], np.uint8(100), frames)
    blurred = scores(Samples(frames, holes, grey))
    assert blurred["hole_sharpness"] < 0.05 and blurred["sharpness"] < 1 and blurred["psnr"] > blurred["hole_psnr"]


def test_rows_become_metrics_and_words():
    values = {"hole_psnr": 14.0, "psnr": 20.0, "hole_sharpness": 0.5, "sharpness": 0.9}
    table = {"": values, "raw": values}
    assert as_metrics(table, "val_")["val_hole_psnr_raw"] == 14.0 and len(as_metrics(table, "val_")) == 8
    assert in_words(table) == "hole 14.00 dB, sharpness 0.50; raw 14.00 dB, sharpness 0.50"
    assert in_words({"": {**values, "hole_psnr": float("nan")}}) == "clip 20.00 dB, sharpness 0.90"
