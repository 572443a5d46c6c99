"""Scores of one result, from streams."""

import math

import numpy as np
import pytest

from tests.vpbench.small_bench import SCORE_NAMES, white_clip, white_inputs
from vp_jax.errors import UserError
from vp_jax.media.frames import mapped
from vp_jax.vpbench.scoring import chosen_scores, score_result

SCORES = chosen_scores(SCORE_NAMES, "correct")


def test_a_perfect_result_and_a_black_hole():
    inputs = white_inputs(frames=9)
    perfect = score_result(inputs.frames_FHWC, white_clip(), inputs, SCORES)
    assert perfect == {"psnr_outside": 100, "psnr_hole": 100, "mae_hole": 0}
    black_FHWC = inputs.frames_FHWC * ~inputs.holes_FHW[..., None]
    found = score_result(black_FHWC, white_clip(), inputs, SCORES)
    assert (found["psnr_outside"], found["psnr_hole"], found["mae_hole"]) == (100, 0, 1)


def test_streams_give_the_same_as_arrays():
    inputs = white_inputs(frames=9)
    grey_FHWC = inputs.frames_FHWC // 2
    streamed = inputs._replace(
        frames_FHWC=mapped(inputs.frames_FHWC, lambda f, x: x, (32, 48, 3)),
        truth_FHWC=mapped(inputs.truth_FHWC, lambda f, x: x, (32, 48, 3)),
        holes_FHW=mapped(inputs.holes_FHW, lambda f, x: x, (32, 48)),
    )
    expected = score_result(grey_FHWC, white_clip(), inputs, SCORES)
    assert score_result(mapped(grey_FHWC, lambda f, x: x, (32, 48, 3)), white_clip(), streamed, SCORES) == expected


def test_pasting_makes_the_background_the_sources():
    inputs = white_inputs()
    grey_FHWC = inputs.frames_FHWC // 2
    assert score_result(grey_FHWC, white_clip(), inputs, SCORES)["psnr_outside"] < 10
    pasted = score_result(grey_FHWC, white_clip(), inputs, SCORES, paste=True)
    assert pasted["psnr_outside"] == 100 and pasted["psnr_hole"] < 10


def test_without_a_truth_only_the_background_is_scored():
    inputs = white_inputs(truth=False)
    assert score_result(inputs.frames_FHWC, white_clip(), inputs, SCORES) == {"psnr_outside": 100}


def test_fewer_frames_are_scored_where_a_result_is_shorter():
    inputs = white_inputs(frames=3)
    inputs.holes_FHW[2] = False
    inputs.frames_FHWC[2] = 0
    assert score_result(np.full((2, 32, 48, 3), 255, np.uint8), white_clip(), inputs, SCORES)["psnr_outside"] == 100


def test_a_score_without_anything_to_measure_is_nan():
    inputs = white_inputs()
    inputs.holes_FHW[:] = False
    assert math.isnan(score_result(inputs.frames_FHWC, white_clip(), inputs, SCORES)["psnr_hole"])


def test_an_unknown_score_is_one_line():
    with pytest.raises(UserError, match="score 'beauty': expected one of psnr"):
        chosen_scores(["beauty"], "correct")
