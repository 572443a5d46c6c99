"""Both protocols on made results: what must be better is better in ``correct``, and where ``reference`` fails."""

import itertools

import pytest

from tests.eval.made_clips import made_clip, results_of
from tests.eval.small_networks import lpips_network
from vp_jax.eval.scores import SCORES, ClipFacts, Meters, scores_of

CLIP = made_clip()
NETWORKS = {"lpips_squeeze": lpips_network()}

# score, results from better to worse
CORRECT = [
    ("psnr", "perfect", "blurred", "object"),
    ("psnr_outside", "perfect", "background"),
    ("psnr_hole", "blurred", "object"),
    ("psnr_rim", "perfect", "blurred"),
    ("ssim_hole", "perfect", "flickering", "object"),
    ("ssim_outside", "object", "background"),
    ("mse_hole", "perfect", "flickering", "object"),
    ("mae_outside", "object", "background"),
    ("lpips_squeeze", "perfect", "object"),
    ("lpips_squeeze_outside", "object", "background"),
    ("sharpness_hole", "shifted", "blurred", "object"),
    ("exclusivity", "object", "background"),
    ("flicker_hole", "perfect", "blurred", "flickering"),
    ("flicker_outside", "flickering", "background"),
    ("warping_error_dis_hole", "perfect", "flickering"),
]
EQUAL_TO_PERFECT = {
    "background": ["psnr_hole", "ssim_hole", "lpips_squeeze_hole", "sharpness_hole", "flicker_hole"],
    "object": ["psnr_outside", "ssim_outside", "lpips_squeeze_outside", "exclusivity", "sharpness_outside"],
}


@pytest.fixture(scope="module")
def values():
    scores = [s for p in ("correct", "reference") for s in scores_of(p, weights=NETWORKS)]
    found = {}
    for name, result_FHWC in results_of(CLIP).items():
        meters = Meters(scores, ClipFacts(starts=(0, 4), overlap=1), NETWORKS)
        meters.update(result_FHWC, CLIP.truth_FHWC, CLIP.holes_FHW)
        found[name] = meters.values()
    return found


@pytest.mark.parametrize("name, results", [(row[0], row[1:]) for row in CORRECT], ids=[row[0] for row in CORRECT])
def test_better_results_have_better_scores(values, name, results):
    sign = 1 if SCORES[name].better == "higher" else -1
    ordered = [sign * values[result][name] for result in results]
    assert all(a > b for a, b in itertools.pairwise(ordered)), {result: values[result][name] for result in results}


def test_a_region_that_is_perfect_has_the_score_of_a_perfect_result(values):
    for result, names in EQUAL_TO_PERFECT.items():
        for name in names:
            assert values[result][name] == pytest.approx(values["perfect"][name], abs=1e-6), (result, name)


def test_no_result_is_better_than_the_truth(values):
    for name, best in values["perfect"].items():
        sign = 1 if SCORES[name].better == "higher" else -1
        if SCORES[name].protocol == "correct" and not name.startswith("warping"):
            for result, found in values.items():
                assert not sign * found[name] > sign * best + 1e-6, (result, name)


def test_the_reference_cannot_tell_a_kept_object_from_a_perfect_result(values):
    for column in ("psnr", "ssim", "mse", "mae", "lpips"):
        name = f"reference_masked_{column}"
        assert values["object"][name] == pytest.approx(values["perfect"][name], rel=1e-6)
