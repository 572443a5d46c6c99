"""The released columns, and the faults that their footnotes name."""

import math

import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from vp_jax.eval.reference import released_original, truncated
from vp_jax.eval.scores import SCORES, Meters

CLIP = made_clip()
RESULTS = results_of(CLIP)


def measured(result_FHWC, names, truth_FHWC=CLIP.truth_FHWC):
    meters = Meters([SCORES[name] for name in names])
    meters.update(result_FHWC, truth_FHWC, CLIP.holes_FHW)
    return meters.values()


def test_the_original_loses_one_level_below_64():
    levels = np.arange(256, dtype=np.uint8)
    lost = levels.astype(int) - released_original(levels)
    np.testing.assert_array_equal(lost, (levels >= 1) & (levels <= 63))


def test_results_are_cut_off_to_levels():
    np.testing.assert_array_equal(truncated(np.array([0.0, 0.999, 1.0, 1.5])), [0, 254, 255, 255])


def test_masked_columns_do_not_depend_on_what_is_in_the_hole():
    names = [f"reference_masked_{column}" for column in ("psnr", "ssim", "mse", "mae")]
    perfect, kept = measured(RESULTS["perfect"], names), measured(RESULTS["object"], names)
    assert perfect == kept and perfect["reference_masked_psnr"] < 30


def test_a_masked_column_compares_the_unmasked_original():
    black = np.where(CLIP.holes_FHW[..., None], 0, RESULTS["blurred"])
    error = (released_original(CLIP.truth_FHWC).astype(float) - black) / 255
    expected = (-10 * np.log10(np.square(error).mean((1, 2, 3)))).mean()
    assert measured(RESULTS["blurred"], ["reference_masked_psnr"])["reference_masked_psnr"] == pytest.approx(
        expected, abs=1e-4
    )


def test_equal_frames_make_an_infinite_psnr():
    bright = np.maximum(CLIP.truth_FHWC, 64)
    assert math.isinf(measured(bright, ["reference_psnr"], bright)["reference_psnr"])
