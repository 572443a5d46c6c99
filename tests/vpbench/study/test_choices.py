"""Strengths from picks, and agreement of raters."""

import math

import numpy as np
import pytest

from tests.vpbench.study.raters import STRENGTHS, plan_of
from vp_jax.vpbench.study.answers import Choice
from vp_jax.vpbench.study.choices import consistency, krippendorff_alpha, pairwise_agreement, strengths

METHODS = ["a", "b", "c"]


def picks(*rows, shown=("a", "b")):
    return [Choice(rater, case, "q", picked, shown) for rater, case, picked in rows]


def simulated(rng, raters=20, cases=30, pairs=False):
    names = list(STRENGTHS)
    out = []
    for rater in range(raters):
        for case in range(cases):
            shown = tuple(rng.permutation(names)[: 2 if pairs else 3])
            weights = np.exp([STRENGTHS[name] for name in shown])
            out.append(Choice(str(rater), str(case), "q", str(rng.choice(shown, p=weights / weights.sum())), shown))
    return out


@pytest.mark.parametrize("pairs", [False, True], ids=["of three", "of two (Bradley-Terry)"])
def test_known_strengths_are_recovered_within_their_intervals(pairs):
    inside = total = 0
    for seed in range(20):
        found = strengths(simulated(np.random.default_rng(seed), pairs=pairs), list(STRENGTHS), draws=200)
        for method, truth in STRENGTHS.items():
            value, low, high = found[method].strength
            assert abs(value - truth) < 0.5 and low < value < high
            inside, total = inside + (low <= truth <= high), total + 1
    assert inside / total >= 0.88


def test_two_options_give_the_log_odds_of_bradley_terry():
    rows = [(str(k), str(k), "a" if k < 300 else "b") for k in range(400)]
    found = strengths(picks(*rows), ["a", "b"], draws=100)
    assert found["a"].strength[0] - found["b"].strength[0] == pytest.approx(math.log(300.5 / 100.5), abs=1e-6)
    assert found["a"].share[0] == 0.75 and found["a"].share[1] < 0.75 < found["a"].share[2]


def test_a_method_that_never_wins_has_a_finite_strength():
    found = strengths(picks(*[(str(k), "x", "a") for k in range(9)]), ["a", "b"], draws=50)
    assert math.isfinite(found["b"].strength[0]) and found["b"].share == (0, 0, 0)
    assert strengths([], ["a", "b"]) == {}


def test_intervals_know_that_answers_of_a_rater_go_together():
    """Raters who each always pick one method: ten raters are ten facts, not three hundred."""
    rng = np.random.default_rng(0)
    taste = {str(r): str(rng.choice(["a", "b"])) for r in range(10)}
    stubborn = strengths(picks(*[(r, str(c), taste[r]) for r in taste for c in range(30)]), ["a", "b"], draws=300)
    mixed = strengths(
        picks(*[(r, str(c), str(rng.choice(["a", "b"]))) for r in taste for c in range(30)]), ["a", "b"], draws=300
    )
    width = lambda found: found["a"].share[2] - found["a"].share[1]  # noqa: E731
    assert width(stubborn) > 2.5 * width(mixed)


def test_agreement_of_pairs_and_beyond_chance():
    same = picks(*[(r, c, "ab"[int(c) % 2]) for r in "123" for c in "0123"])
    assert pairwise_agreement(same) == 1 and krippendorff_alpha(same) == 1
    one = picks(("1", "x", "a"), ("2", "x", "a"), ("3", "x", "b"))
    assert pairwise_agreement(one) == pytest.approx(1 / 3)
    rng = np.random.default_rng(0)
    noise = picks(*[(str(r), str(c), str(rng.choice(["a", "b"]))) for r in range(8) for c in range(200)])
    assert abs(krippendorff_alpha(noise)) < 0.05 and abs(pairwise_agreement(noise) - 0.5) < 0.03
    assert math.isnan(pairwise_agreement(picks(("1", "x", "a"))))


def test_alpha_is_that_of_krippendorffs_example():
    """Nominal data of Krippendorff (2011), "Computing Krippendorff's alpha-reliability", section C: 0.743."""
    table = [
        "1 2 3 3 2 1 4 1 2 . . .".split(),
        "1 2 3 3 2 2 4 1 2 5 . 3".split(),
        ". 3 3 3 2 3 4 2 2 5 1 .".split(),
        "1 2 3 3 2 4 4 1 2 5 1 .".split(),
    ]
    rows = [(str(r), str(c), v) for r, line in enumerate(table) for c, v in enumerate(line) if v != "."]
    assert krippendorff_alpha(picks(*rows)) == pytest.approx(0.743, abs=5e-4)


def test_repeats_show_who_looks():
    again = [Choice("1", "x", "q", "a", ("a", "b"), True), Choice("2", "x", "q", "b", ("a", "b"), True)]
    assert consistency(picks(("1", "x", "a"), ("2", "x", "a")) + again) == {"1": 1.0, "2": 0.0}


def test_the_plan_and_the_model_speak_of_the_same_methods():
    assert plan_of().methods == sorted(STRENGTHS)
