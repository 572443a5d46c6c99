"""Strength of methods from picks, agreement of raters.

Bradley-Terry for two options, Luce's choice model for more: method i is picked from the shown set S with probability
w_i / sum of w_j over S. Strengths are fitted by Hunter's minorization (2004), with half a win for each method of each
shown set against an even field, so that a method without a win has a finite strength. Intervals resample raters and
cases, both with replacement: answers of one rater, and of one case, go together.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vp_jax.vpbench.study.answers import Choice

PRIOR_WINS = 0.5
_ITERATIONS = 200


class Strength(NamedTuple):
    """Of one method.

    Attributes:
      share: part of the answers in which it was picked, 0 to 1, with bounds.
      strength: log of its weight; the mean over methods is 0; with bounds.
    """

    share: tuple[float, float, float]
    strength: tuple[float, float, float]


def strengths(
    choices: Sequence[Choice], methods: Sequence[str], *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> dict[str, Strength]:
    """Shares and strengths with bootstrap intervals.

    Args:
      choices: answers to one question, without repeats.
      methods: their names.
      level: share of resampled values between the bounds.
      draws: number of resamplings.
      seed: of the resampling.

    Returns:
      By method; empty without answers.
    """
    if not choices:
        return {}
    raters, cases = sorted({c.rater for c in choices}), sorted({c.case for c in choices})
    rng = np.random.default_rng(seed)
    of_rater = np.array([raters.index(c.rater) for c in choices])
    of_case = np.array([cases.index(c.case) for c in choices])
    rater_counts = rng.multinomial(len(raters), np.full(len(raters), 1 / len(raters)), draws)
    case_counts = rng.multinomial(len(cases), np.full(len(cases), 1 / len(cases)), draws)
    weights = np.concatenate([np.ones((1, len(choices))), rater_counts[:, of_rater] * case_counts[:, of_case]])
    wins, fitted = _fit(choices, methods, weights)
    total = np.maximum(wins.sum(axis=1, keepdims=True), 1e-9)
    shares, ends = wins / total, [(1 - level) / 2, (1 + level) / 2]
    drawn = weights[1:].sum(axis=1) > 0  # a resampling may draw raters and cases that never met
    out = {}
    for number, method in enumerate(methods):
        triples = []
        for values in (shares, fitted):
            low, high = np.quantile(values[1:, number][drawn], ends)
            triples.append((float(values[0, number]), float(low), float(high)))
        out[method] = Strength(triples[0], triples[1])
    return out


def _fit(choices: Sequence[Choice], methods: Sequence[str], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wins and log-strengths of each method, one row for each row of weights of the choices."""
    sets = sorted({tuple(sorted(c.shown)) for c in choices})
    of_set = np.array([sets.index(tuple(sorted(c.shown))) for c in choices])
    picked = np.array([methods.index(c.picked) for c in choices])
    members = np.array([[method in shown for method in methods] for shown in sets], float)
    to_set, to_method = np.eye(len(sets))[of_set], np.eye(len(methods))[picked]
    wins = weights @ to_method
    played = weights @ to_set + PRIOR_WINS * members.sum(axis=1)
    prior_wins = wins + PRIOR_WINS * members.sum(axis=0)
    w = np.ones_like(wins)
    for _ in range(_ITERATIONS):
        w = prior_wins / ((played / (w @ members.T)) @ members)
        w /= np.exp(np.log(w).mean(axis=1, keepdims=True))
    return wins, np.log(w)


def pairwise_agreement(choices: Sequence[Choice]) -> float:
    """Part of the pairs of raters who picked the same method in the same case, 0 to 1; NaN without such pairs."""
    same = pairs = 0
    for counts in _by_case(choices).values():
        number = sum(counts.values())
        pairs += number * (number - 1)
        same += sum(count * (count - 1) for count in counts.values())
    return same / pairs if pairs else math.nan


def krippendorff_alpha(choices: Sequence[Choice]) -> float:
    """Agreement beyond chance (Krippendorff's alpha of nominal answers): 1 perfect, 0 chance; NaN if undefined."""
    units = [counts for counts in _by_case(choices).values() if sum(counts.values()) > 1]
    total: Counter[str] = sum(units, Counter())
    number = total.total()
    if number < 2:
        return math.nan
    observed = sum(
        (counts.total() ** 2 - sum(c * c for c in counts.values())) / (counts.total() - 1) for counts in units
    )
    expected = (number**2 - sum(c * c for c in total.values())) / (number - 1)
    return 1 - observed / expected if expected else math.nan


def consistency(choices: Sequence[Choice]) -> dict[str, float]:
    """By rater, the part of repeated cases and questions that were answered as before; raters without are left out."""
    first = {(c.rater, c.case, c.question): c.picked for c in choices if not c.again}
    found: dict[str, list[bool]] = defaultdict(list)
    for c in choices:
        if c.again and (c.rater, c.case, c.question) in first:
            found[c.rater].append(first[c.rater, c.case, c.question] == c.picked)
    return {rater: float(np.mean(same)) for rater, same in found.items()}


def _by_case(choices: Sequence[Choice]) -> Mapping[str, Counter[str]]:
    cases: dict[str, Counter[str]] = defaultdict(Counter)
    for c in choices:
        cases[c.case][c.picked] += 1
    return cases
