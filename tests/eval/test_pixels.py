"""PSNR, MSE and MAE against NumPy in float64 and torchmetrics; regions do not look at each other."""

import math

import numpy as np
import pytest
import torch

from tests.eval.made_clips import made_clip, results_of
from tests.torchvision_ops import torchmetrics
from vp_jax.eval.scores import SCORES, Meters, scores_of
from vp_jax.eval.video_metrics import MAX_PSNR

CLIP = made_clip()
RESULTS = results_of(CLIP)


def measured(result_FHWC: np.ndarray, names: list[str]) -> dict[str, float]:
    meters = Meters([SCORES[name] for name in names])
    meters.update(result_FHWC, CLIP.truth_FHWC, CLIP.holes_FHW)
    return meters.values()


def test_psnr_of_a_clip_is_that_of_torchmetrics():
    oracle = torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0)
    for result, truth in zip(RESULTS["background"], CLIP.truth_FHWC):
        oracle.update(torch.from_numpy(result / 255.0), torch.from_numpy(truth / 255.0))
    assert measured(RESULTS["background"], ["psnr"])["psnr"] == pytest.approx(oracle.compute().item(), abs=1e-4)


def test_regions_are_means_over_their_pixels():
    error = (RESULTS["flickering"].astype(float) - CLIP.truth_FHWC) / 255
    values = measured(RESULTS["flickering"], ["mse_hole", "mae_hole", "mse_outside", "psnr_outside", "psnr"])
    assert values["mse_hole"] == pytest.approx(np.square(error[CLIP.holes_FHW]).mean(), rel=1e-5)
    assert values["mae_hole"] == pytest.approx(np.abs(error[CLIP.holes_FHW]).mean(), rel=1e-5)
    assert values["mse_outside"] == 0 and values["psnr_outside"] == MAX_PSNR
    assert values["psnr"] == pytest.approx(-10 * math.log10(np.square(error).mean()), abs=1e-4)


def test_frames_in_parts_and_as_floats_give_the_same():
    names = [score.name for score in scores_of() if score.name.startswith(("psnr", "mae"))]
    at_once = measured(RESULTS["blurred"], names)
    meters = Meters([SCORES[name] for name in names])
    for part in (slice(0, 1), slice(1, 5), slice(5, 9)):
        meters.update(
            RESULTS["blurred"][part].astype(np.float32) / 255,
            CLIP.truth_FHWC[part].astype(np.float32) / 255,
            CLIP.holes_FHW[part],
        )
    assert meters.frames == 9 and meters.values() == pytest.approx(at_once, rel=1e-5)


def test_an_empty_region_has_no_value():
    meter = SCORES["psnr_hole"].compute()
    meter.update(CLIP.truth_FHWC, CLIP.truth_FHWC, np.zeros_like(CLIP.holes_FHW))
    assert math.isnan(meter.value())
