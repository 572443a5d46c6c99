"""Sharpness relative to the truth."""

import cv2
import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from vp_jax.eval.detail import detail_sums
from vp_jax.eval.scores import SCORES, Meters

CLIP = made_clip()
RESULTS = results_of(CLIP)


def measured(result_FHWC, *names):
    meters = Meters([SCORES[name] for name in names])
    meters.update(result_FHWC, CLIP.truth_FHWC, CLIP.holes_FHW)
    return meters.values()


def test_detail_is_the_laplacian_of_the_brightness():
    picture = CLIP.truth_FHWC[:1]
    grey = picture[0].astype(np.float32) / 255 @ np.array([0.299, 0.587, 0.114], np.float32)
    expected = np.abs(cv2.Laplacian(grey, cv2.CV_32F))[1:-1, 1:-1].sum()
    found = detail_sums(picture, picture, CLIP.holes_FHW[:1], ("whole",))
    assert found[0, 0] == pytest.approx([expected, expected], rel=1e-4)


def test_blur_and_noise_lose_sharpness_where_they_are():
    blurred = measured(RESULTS["blurred"], "sharpness", "sharpness_hole", "sharpness_outside")
    assert blurred["sharpness_outside"] == 1 and blurred["sharpness_hole"] < 0.5 < blurred["sharpness"] < 1
    noise = np.random.default_rng(1).integers(-40, 40, CLIP.truth_FHWC.shape)
    noisy = np.where(CLIP.holes_FHW[..., None], np.clip(CLIP.truth_FHWC + noise, 0, 255), CLIP.truth_FHWC)
    assert measured(noisy.astype(np.uint8), "sharpness_hole")["sharpness_hole"] < 0.7
