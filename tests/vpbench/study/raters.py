"""Simulated raters of a study: they pick by known strengths, and write what the page would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vp_jax.vpbench.study.design import QUESTIONS, StudyPlan, StudySize, study_plan

STRENGTHS = {"mean": -1.0, "telea": 0.0, "ours": 1.0}
"""Logarithms of the weights by which simulated raters pick; their mean is 0."""


def plan_of(cases: int = 20, raters: int = 12, repeats: int = 4, methods=tuple(STRENGTHS), seed: int = 0) -> StudyPlan:
    return study_plan([f"clip-{k}" for k in range(cases)], methods, StudySize(cases, raters, repeats), seed)


def answer(plan: StudyPlan, rater: int, rng: np.random.Generator, *, careless: bool = False) -> dict:
    """The answers of one rater; one who is careless answers repeated cases anew."""
    given, before = [], {}
    for trial in plan.orders[rater]:
        weights = np.exp([STRENGTHS[plan.options[trial.case][token]] for token in trial.shown])
        picked = {q: str(rng.choice(trial.shown, p=weights / weights.sum())) for q in QUESTIONS}
        if careless and trial.case in before:
            picked = {q: next(t for t in trial.shown if t != before[trial.case][q]) for q in QUESTIONS}
        picked = picked if careless else before.get(trial.case, picked)
        before[trial.case] = picked
        given.append({"case": trial.case, "shown": list(trial.shown), "picked": picked, "seconds": 4.0})
    return {"study": plan.name, "rater": str(rater + 1), "answers": given}


def write_raters(folder: Path, plan: StudyPlan, seed: int = 0, careless: tuple[int, ...] = ()) -> None:
    """A study's key and the answers of all raters."""
    (folder / "answers").mkdir(parents=True)
    (folder / "key.json").write_text(json.dumps(plan.key()))
    rng = np.random.default_rng(seed)
    for rater, _ in enumerate(plan.orders):
        values = answer(plan, rater, rng, careless=rater in careless)
        (folder / "answers" / f"{rater + 1}.json").write_text(json.dumps(values))
