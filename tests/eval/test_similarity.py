"""SSIM against torchmetrics, and on regions that do not look at each other."""

import math

import numpy as np
import pytest
import torch

from tests.eval.made_clips import made_clip, results_of
from tests.torchvision_ops import torchmetrics
from vp_jax.eval.scores import SCORES, Meters

CLIP = made_clip()
RESULTS = results_of(CLIP)


def measured(result_FHWC: np.ndarray, *names: str) -> dict[str, float]:
    meters = Meters([SCORES[name] for name in names])
    meters.update(result_FHWC, CLIP.truth_FHWC, CLIP.holes_FHW)
    return meters.values()


@pytest.mark.parametrize("name", ["blurred", "shifted", "object", "perfect"])
def test_ssim_is_that_of_torchmetrics(name):
    a, b = (torch.from_numpy(x).permute(0, 3, 1, 2) / 255.0 for x in (RESULTS[name], CLIP.truth_FHWC))
    oracle = torchmetrics.functional.image.structural_similarity_index_measure(a, b, data_range=1.0)
    assert measured(RESULTS[name], "ssim")["ssim"] == pytest.approx(oracle.item(), abs=1e-5)


def test_an_untouched_background_is_perfect_outside_whatever_is_in_the_hole():
    values = measured(RESULTS["object"], "ssim_outside", "ssim_hole", "ssim_rim")
    assert values["ssim_outside"] == pytest.approx(1, abs=1e-6)
    assert values["ssim_hole"] < values["ssim_rim"] < 1


def test_a_hole_does_not_see_the_background():
    values = measured(RESULTS["background"], "ssim_outside", "ssim_hole")
    assert values["ssim_hole"] == pytest.approx(1, abs=1e-6) and values["ssim_outside"] < 0.9


def test_a_region_without_pixels_has_no_value():
    meter = SCORES["ssim_rim"].compute()
    meter.update(CLIP.truth_FHWC[:1], CLIP.truth_FHWC[:1], np.zeros_like(CLIP.holes_FHW[:1]))
    assert math.isnan(meter.value())
