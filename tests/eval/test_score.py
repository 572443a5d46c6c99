"""Meters: one pass over a clip for many scores."""

from collections import Counter

import numpy as np
import pytest

from tests.eval.made_clips import made_clip
from vp_jax.errors import UserError
from vp_jax.eval.score import Meters, Score

CLIP = made_clip()
MADE: Counter[str] = Counter()


class Counting:
    """Counts frames."""

    def __init__(self, names, clip, networks):
        MADE["made"] += 1
        self.names, self.frames = names, 0

    def update(self, result_FHWC, truth_FHWC, holes_FHW):
        self.frames += len(result_FHWC)

    def values(self):
        return {name: float(self.frames) for name in ("one", "two")}


ONE, TWO = (Score(name, "higher", "frames", Counting) for name in ("one", "two"))


def test_scores_of_one_gauge_share_it():
    MADE.clear()
    meters = Meters([ONE, TWO])
    meters.update(CLIP.truth_FHWC, CLIP.truth_FHWC, CLIP.holes_FHW)
    assert MADE["made"] == 1 and meters.values() == {"one": 9.0, "two": 9.0} and meters.frames == 9


def test_one_score_alone():
    meter = TWO.compute()
    meter.update(CLIP.truth_FHWC, CLIP.truth_FHWC.astype(np.float32) / 255, CLIP.holes_FHW)
    assert meter.value() == 9.0


def test_a_missing_network_is_named():
    with pytest.raises(UserError, match="score deep needs the weights lpips_alex"):
        Score("deep", "lower", "", Counting, needs="lpips_alex").compute()
