"""The plan of a study: which cases, which methods, who sees what in which order.

Methods are hidden behind random tokens, which name the files too. Every rater sees every case once, in an order of
their own, and some cases a second time later on: whoever answers those differently did not look. In each case the
places of the methods rotate from rater to rater, so that no method stands first more often than another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vp_jax.digests import of_json
from vp_jax.errors import UserError

QUESTIONS = {
    "background": "Which keeps the background outside the marked region best?",
    "text": "Which fits the text best?",
    "quality": "Which has the best video quality?",
}
"""The three questions of the paper's study (tables 4 and 6)."""


@dataclass(frozen=True)
class StudySize:
    """How large a study is.

    Attributes:
      cases: shown to each rater.
      raters: for whom orders are made.
      repeats: cases that each rater sees twice.
    """

    cases: int
    raters: int
    repeats: int

    def __post_init__(self) -> None:
        for name in ("cases", "raters"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: expected 1 or more")
        if not 0 <= self.repeats <= self.cases:
            raise UserError(f"repeats {self.repeats}: expected 0 to {self.cases}, the number of cases")


STUDY_PRESETS = {"paper": StudySize(50, 30, 5), "small": StudySize(10, 5, 2)}
"""The paper's 50 cases and 30 people, with 5 repeats for attention, and a study for an afternoon."""


@dataclass(frozen=True)
class Trial:
    """What a rater sees at once: a case, and the tokens of its options from left to right."""

    case: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class StudyPlan:
    """A study.

    Attributes:
      cases: names of clips by token.
      options: of each case (by token): the method by token.
      orders: trials of each rater.
    """

    cases: Mapping[str, str]
    options: Mapping[str, Mapping[str, str]]
    orders: Sequence[Sequence[Trial]]

    @property
    def name(self) -> str:
        """Digest that answers carry, so that those of another study are refused."""
        return of_json([dict(self.cases), {case: dict(found) for case, found in self.options.items()}])[:16]

    @property
    def methods(self) -> list[str]:
        """Every method, by name."""
        return sorted({method for found in self.options.values() for method in found.values()})

    def key(self) -> dict[str, Any]:
        """What stays hidden from raters, as JSON values."""
        return {
            "study": self.name,
            "cases": dict(self.cases),
            "options": {case: dict(found) for case, found in self.options.items()},
        }

    def public(self) -> list[list[dict[str, Any]]]:
        """The orders, as JSON values without names of methods or clips."""
        return [[dataclasses.asdict(trial) for trial in order] for order in self.orders]


def study_plan(clips: Sequence[str], methods: Sequence[str], size: StudySize, seed: int = 0) -> StudyPlan:
    """Plan a study.

    Args:
      clips: names; ``size.cases`` of them are drawn.
      methods: two or more.
      size: how large it is.
      seed: of all that is random in it.

    Raises:
      UserError: fewer than two methods, or too few clips.
    """
    if len(set(methods)) < 2:
        raise UserError(f"methods {', '.join(methods) or 'none'}: a study compares two or more")
    if len(clips) < size.cases:
        raise UserError(f"cases {size.cases}: only {len(clips)} clips have results of all methods, ask for fewer")
    rng = np.random.default_rng([7301, seed])
    chosen = [clips[k] for k in sorted(rng.permutation(len(clips))[: size.cases])]
    tokens = iter(_tokens(rng, len(chosen) * (1 + len(methods))))
    cases = {next(tokens): clip for clip in chosen}
    options = {case: {next(tokens): method for method in methods} for case in cases}
    places = {case: [*rng.permutation(len(methods))] for case in cases}
    orders = []
    for rater in range(size.raters):
        order = [[*cases][k] for k in rng.permutation(len(cases))]
        again = _repeats(rng, order, size.repeats)
        shown = [(case, rater + (number >= len(order))) for number, case in enumerate([*order, *again])]
        orders.append([_trial(case, options, places[case], turn) for case, turn in shown])
    return StudyPlan(cases, options, orders)


def _repeats(rng: np.random.Generator, order: Sequence[str], count: int) -> list[str]:
    """Cases for a second look, of the first half of an order: some time has passed then."""
    early = order[: max(count, len(order) // 2)]
    return [early[k] for k in rng.permutation(len(early))[:count]]


def _trial(case: str, options: Mapping[str, Mapping[str, str]], places: Sequence[int], turn: int) -> Trial:
    tokens = [*options[case]]
    turned = [*places[turn % len(places) :], *places[: turn % len(places)]]
    return Trial(case, tuple(tokens[place] for place in turned))


def _tokens(rng: np.random.Generator, count: int) -> list[str]:
    """Names that say nothing, all different."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{int(rng.integers(16**10)):010x}"] = None
    return [*found]
