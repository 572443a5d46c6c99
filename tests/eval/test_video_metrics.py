"""Metrics of clips against values worked out by hand and against PyTorch's convolution."""

import math

import numpy as np
import pytest
import torch

from vp_jax.eval import video_metrics as metrics


def clip(frames=4, height=12, width=16, value=100):
    holes = np.zeros((frames, height, width), bool)
    holes[:, 2:10, 3:11] = True
    return np.full((frames, height, width, 3), value, np.uint8), holes


def test_psnr_looks_at_the_region_alone():
    truth, holes = clip()
    result = truth.copy()
    result[holes] += 10
    assert metrics.psnr(truth, result, holes) == pytest.approx(10 * math.log10(255**2 / 100))
    assert metrics.psnr(truth, result, ~holes) == metrics.MAX_PSNR
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


def test_metrics_written_out_over_pixels():
    """Loops over a random clip with a hole that moves and changes its size."""
    rng = np.random.default_rng(3)
    truth, result = rng.integers(0, 256, (2, 4, 9, 10, 3)).astype(np.uint8)
    holes = rng.random((4, 9, 10)) < 0.4
    squares = [(float(result[i]) - float(truth[i])) ** 2 for i in np.ndindex(truth.shape) if holes[i[:3]]]
    assert metrics.psnr(truth, result, holes) == pytest.approx(10 * math.log10(255**2 * len(squares) / sum(squares)))
    changes = []
    for f, y, x, c in np.ndindex(3, 9, 10, 3):
        if holes[f, y, x] and holes[f + 1, y, x]:
            r, t = (int(a[f + 1, y, x, c]) - int(a[f, y, x, c]) for a in (result, truth))
            changes.append(abs(r - t))
    assert metrics.temporal_error(truth, result, holes) == pytest.approx(np.mean(changes))


def test_a_brighter_and_a_darker_result_are_equally_wrong():
    truth, holes = clip(value=100)
    assert metrics.psnr(truth, truth + np.uint8(30), holes) == metrics.psnr(truth, truth - np.uint8(30), holes)


def test_drift_takes_the_windows_that_have_a_hole():
    truth, holes = clip(frames=12)
    result = truth + np.uint8(20)
    result[8:, ..., 2] += 6
    holes[4:8] = False
    assert metrics.identity_drift(truth, result, holes, [0, 4, 8]) == pytest.approx(6)
    assert math.isnan(metrics.identity_drift(truth[:8], result[:8], holes[:8], [0, 4]))
