"""Exclusivity: what an edit changed outside its hole."""

import math

import numpy as np

from tests.eval.made_clips import made_clip, results_of
from vp_jax.eval.background import CHANGE
from vp_jax.eval.scores import SCORES

CLIP = made_clip()
RESULTS = results_of(CLIP)


def exclusivity(result_FHWC, holes_FHW=CLIP.holes_FHW):
    meter = SCORES["exclusivity"].compute()
    meter.update(result_FHWC, CLIP.truth_FHWC, holes_FHW)
    return meter.value()


def test_what_happens_in_the_hole_does_not_count():
    assert exclusivity(RESULTS["object"]) == 1 and exclusivity(RESULTS["background"]) < 0.5


def test_the_threshold_is_a_difference_of_a_channel():
    levels = round(CHANGE * 255)
    for difference, share in ((levels, 1.0), (levels + 1, 0.0)):
        result = np.where(CLIP.truth_FHWC < 128, CLIP.truth_FHWC + difference, CLIP.truth_FHWC - difference)
        assert exclusivity(result.astype(np.uint8)) == share


def test_without_background_there_is_no_value():
    assert math.isnan(exclusivity(CLIP.truth_FHWC, np.ones_like(CLIP.holes_FHW)))
