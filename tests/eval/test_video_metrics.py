"""Metrics of clips against values worked out by hand and against PyTorch's convolution."""

import math

import numpy as np
import pytest
import torch

from vp_jax.eval import video_metrics as metrics
from vp_jax.eval.bootstrap import interval


def clip(frames=4, height=12, width=16, value=100):
    holes = np.zeros((frames, height, width), bool)
    holes[:, 2:10, 3:11] = True
    return np.full((frames, height, width, 3), value, np.uint8), holes


def test_psnr_looks_at_the_region_alone():
    truth, holes = clip()
    result = truth.copy()
    result[holes] += 10
    assert metrics.psnr(truth, result, holes) == pytest.approx(10 * math.log10(255**2 / 100))
    assert metrics.psnr(truth, result, ~holes) == metrics.MOST_DB
    assert math.isnan(metrics.psnr(truth, result, np.zeros_like(holes)))


def torch_ssim(a_HWC, b_HWC):
    """The same equations with a padded 2-D convolution."""
    line = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    kernel = torch.outer(line, line)[None, None] / line.sum() ** 2

    def blur(x):
        return torch.nn.functional.conv2d(torch.nn.functional.pad(x[:, None], (5, 5, 5, 5), mode="reflect"), kernel)

    a, b = (torch.tensor(np.moveaxis(x, -1, 0) / 255.0) for x in (a_HWC, b_HWC))
    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    out = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    return np.moveaxis(out[:, 0].numpy(), 0, -1)


def test_ssim_map_is_the_gaussian_one():
    a = np.random.default_rng(0).integers(0, 256, (20, 27, 3)).astype(np.uint8)
    b = np.clip(a + np.random.default_rng(1).normal(0, 40, a.shape), 0, 255).astype(np.uint8)
    np.testing.assert_allclose(metrics.ssim_map(a, b), torch_ssim(a, b), atol=1e-10)
    np.testing.assert_allclose(metrics.ssim_map(a, a), 1, atol=1e-12)


def test_ssim_of_flat_pictures_by_hand():
    truth, holes = clip(value=100)
    a, b = 100 / 255, 140 / 255
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert metrics.ssim(truth, truth + np.uint8(40), holes) == pytest.approx(expected)
    assert math.isnan(metrics.ssim(truth, truth, np.zeros_like(holes)))


def test_temporal_error_counts_changes_not_offsets():
    truth, holes = clip()
    result = truth + np.uint8(30)
    assert metrics.temporal_error(truth, result, holes) == 0
    result[1::2] += 8  # flickers by 8 every frame
    assert metrics.temporal_error(truth, result, holes) == pytest.approx(8)
    assert math.isnan(metrics.temporal_error(truth, result, holes & (np.arange(4) == 0)[:, None, None]))


def test_drift_is_the_way_from_the_first_windows_colour():
    truth, holes = clip(frames=12)
    result = truth + np.uint8(20)
    assert metrics.identity_drift(truth, result, holes, [0, 4, 8]) == pytest.approx(0)
    result[4:8, ..., 0] += 3
    result[8:, ..., 1] += 5
    assert metrics.identity_drift(truth, result, holes, [0, 4, 8]) == pytest.approx((3 + 5) / 2)
    rim = holes & ~np.pad(holes[:, 4:8, 5:9], ((0, 0), (4, 4), (5, 7)))
    result[rim] = 0  # the rim does not count
    assert metrics.identity_drift(truth, result, holes, [0, 4, 8]) == pytest.approx((3 + 5) / 2)
    assert math.isnan(metrics.identity_drift(truth, result, holes, [0]))


def test_interval_covers_and_leaves_nans_out():
    values = np.random.default_rng(0).normal(5, 2, 100)
    found = interval([*values, math.nan])
    assert found.mean == pytest.approx(values.mean()) and found.clips == 100
    error = values.std() / 10
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1)
    assert interval([3.0]) == (3, 3, 3, 1) and math.isnan(interval([math.nan]).mean)
    assert interval(values) == interval(values)
