"""Flicker, warping error, and what windows do to colour and identity."""

import math

import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from vp_jax.eval import video_metrics
from vp_jax.eval.continuity import continuity_of
from vp_jax.eval.motion import picture_flow, reached, warped
from vp_jax.eval.scores import SCORES, ClipFacts, Meters

CLIP = made_clip()
RESULTS = results_of(CLIP)
STARTS = (0, 4)


def measured(result_FHWC, *names, parts=(slice(0, 9),)):
    meters = Meters([SCORES[name] for name in names], ClipFacts(starts=STARTS, overlap=1))
    for part in parts:
        meters.update(result_FHWC[part], CLIP.truth_FHWC[part], CLIP.holes_FHW[part])
    return meters.values()


def test_flicker_is_the_change_of_the_error():
    expected = video_metrics.temporal_error(CLIP.truth_FHWC, RESULTS["flickering"], CLIP.holes_FHW)
    values = measured(RESULTS["flickering"], "flicker_hole", "flicker_outside")
    assert values["flicker_hole"] == pytest.approx(expected, rel=1e-4) and values["flicker_outside"] == 0


def test_pairs_reach_across_updates():
    names = ("flicker", "warping_error_dis", "seam_jump", "identity_drift")
    parts = (slice(0, 3), slice(3, 4), slice(4, 9))
    assert measured(RESULTS["shifted"], *names, parts=parts) == pytest.approx(measured(RESULTS["shifted"], *names))


def test_windows_are_measured_as_in_reports():
    continuity = continuity_of(RESULTS["flickering"], CLIP.holes_FHW, STARTS, 1, CLIP.truth_FHWC)
    values = measured(RESULTS["flickering"], "seam_jump", "colour_drift", "identity_drift")
    assert values["seam_jump"] == continuity.seam_jump and values["colour_drift"] == continuity.colour_drift
    assert values["identity_drift"] == pytest.approx(
        video_metrics.identity_drift(CLIP.truth_FHWC, RESULTS["flickering"], CLIP.holes_FHW, STARTS)
    )


def test_one_window_has_no_drift():
    meter = SCORES["identity_drift"].compute()
    meter.update(CLIP.truth_FHWC, CLIP.truth_FHWC, CLIP.holes_FHW)
    assert math.isnan(meter.value())


@pytest.mark.slow
def test_warping_follows_the_flow():
    flow = np.zeros((*CLIP.truth_FHWC.shape[1:3], 2), np.float32)
    flow[..., 0] = 1.0
    moved = np.asarray(warped(CLIP.truth_FHWC[0] / 255, flow))
    np.testing.assert_allclose(moved[:, :-1], CLIP.truth_FHWC[0][:, 1:] / 255, atol=1e-6)
    np.testing.assert_allclose(
        warped(CLIP.truth_FHWC[0] / 255, flow / 2)[:, 0], moved[:, 0] / 2 + (CLIP.truth_FHWC[0] / 510)[:, 0], atol=1e-6
    )
    assert not np.asarray(reached(flow, -flow))[:, -1].any() and np.asarray(reached(flow, -flow))[:, :-1].all()
    assert not np.asarray(reached(flow * 3, flow)).any()


def test_dis_finds_the_motion_of_the_background():
    flow = picture_flow(CLIP.truth_FHWC[1], CLIP.truth_FHWC[0])
    assert np.median(flow[8:-8, 8:-8, 0]) == pytest.approx(1, abs=0.2)


def test_the_warped_background_does_not_come_from_the_hole():
    names = ("warping_error_dis_outside",)
    assert measured(RESULTS["object"], *names) == pytest.approx(measured(RESULTS["perfect"], *names), rel=1e-3)
    assert measured(RESULTS["background"], "warping_error_dis_hole") == pytest.approx(
        measured(RESULTS["perfect"], "warping_error_dis_hole"), rel=1e-3
    )


def test_flickering_results_cannot_be_warped():
    perfect = measured(RESULTS["perfect"], "warping_error_dis_hole")["warping_error_dis_hole"]
    flickering = measured(RESULTS["flickering"], "warping_error_dis_hole", "warping_error_dis_outside")
    assert perfect < 3 and flickering["warping_error_dis_hole"] > 5 * perfect
