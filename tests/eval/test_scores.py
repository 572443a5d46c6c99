"""The list of scores: names, protocols, weights, and averages over clips."""

import gc
import math
import tracemalloc

import numpy as np
import pytest

from tests.eval.made_clips import HEIGHT, WIDTH
from vp_jax.errors import UserError
from vp_jax.eval.scores import SCORES, ClipFacts, Meters, left_out, mean_of_clips, scores_of

FRAMES = np.zeros((1, 16, 16, 3), np.uint8)
HOLES = np.zeros((1, 16, 16), bool)


def test_every_score_has_a_direction_and_a_line():
    for name, score in SCORES.items():
        assert score.name == name and score.better in ("higher", "lower") and score.text


def test_columns_of_the_reference_have_their_own_names_and_a_footnote():
    for score in SCORES.values():
        assert (score.protocol == "reference") == score.name.startswith("reference_") == bool(score.footnote)


def test_scores_are_chosen_by_protocol_weights_and_name():
    names = [score.name for score in scores_of()]
    assert "psnr_rim" in names and not any(SCORES[name].needs for name in names)
    assert [score.name for score in scores_of(names=["mae", "reference_mae"])] == ["mae", "reference_mae"]
    with pytest.raises(UserError, match="protocol 'exact'"):
        scores_of("exact")
    with pytest.raises(UserError, match="score 'pnsr'"):
        scores_of(names=["pnsr"])


def test_what_is_left_out_needs_weights_that_are_not_there():
    for protocol in ("correct", "reference"):
        missing = left_out(protocol)
        for weights, names in missing.items():
            assert {SCORES[name].needs for name in names} == {weights}
            assert weights not in left_out(protocol, [weights])


def test_averages_of_clips_leave_out_clips_without_a_value():
    assert mean_of_clips([1.0, math.nan, 3.0], [9, 9, 90]) == 2.0
    assert math.isnan(mean_of_clips([math.nan], [9]))
    assert SCORES["reference_mse"].average([1.0, 3.0], [10, 30]) == 2.5


def grown_by(scores: list, blocks: int = 4) -> float:
    """Bytes that each further frame leaves behind in every block of eight frames."""
    rng, holes_FHW = np.random.default_rng(0), np.zeros((8, HEIGHT, WIDTH), bool)
    holes_FHW[:, 20:50, 30:60] = True
    meters, held = Meters(scores, ClipFacts(starts=(0, 8), overlap=1)), []
    for _ in range(2 + blocks):
        meters.update(*rng.integers(0, 256, (2, 8, HEIGHT, WIDTH, 3), np.uint8), holes_FHW)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    # what is kept grows in every block; what Python and its libraries keep once, for themselves, in one
    return float(np.diff(held[1:]).min()) / 8


@pytest.mark.slow
def test_no_score_without_weights_keeps_the_frames_of_a_clip():
    by_gauge: dict = {}
    for score in SCORES.values():
        if score.needs is None:
            by_gauge.setdefault(score.gauge, []).append(score)
    tracemalloc.start()
    try:
        found = {scores[0].name: grown_by(scores) for scores in by_gauge.values()}
    finally:
        tracemalloc.stop()
    assert len(found) >= 8
    frame = HEIGHT * WIDTH * 3
    assert {name: size for name, size in found.items() if size > 0.05 * frame} == {}


@pytest.mark.parametrize(
    "result, truth, holes, message",
    [
        (FRAMES[..., :2], FRAMES, HOLES, "expected frames of one size"),
        (FRAMES, FRAMES, HOLES[:, 1:], "holes bool"),
        (FRAMES, FRAMES, HOLES.astype(int), "expected bool"),
        (FRAMES.astype(np.int16), FRAMES, HOLES, "result of type int16"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(result, truth, holes, message):
    with pytest.raises(UserError, match=message):
        Meters([SCORES["psnr"]]).update(result, truth, holes)
