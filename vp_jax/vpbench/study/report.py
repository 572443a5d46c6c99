"""What a study found: shares and strengths with intervals, agreement of raters, beside the paper's study."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.files import write_text
from vp_jax.vpbench.paper import PAPER_STUDIES, paper_method
from vp_jax.vpbench.study.answers import Answers, study_key
from vp_jax.vpbench.study.choices import Strength, consistency, krippendorff_alpha, pairwise_agreement, strengths
from vp_jax.vpbench.study.design import QUESTIONS

LEAST_CONSISTENCY = 0.5
"""Raters who answer fewer of the repeated cases as before are left out."""


class QuestionReport(NamedTuple):
    """Of one question: what was picked, by method, and how far raters agree."""

    answers: int
    methods: dict[str, Strength]
    agreement: float
    alpha: float


class StudyReport(NamedTuple):
    """Of a study.

    Attributes:
      questions: by name.
      raters: who count.
      left_out: who do not, with their consistency.
      consistency: of all who saw repeats.
    """

    questions: dict[str, QuestionReport]
    raters: list[str]
    left_out: dict[str, float]
    consistency: dict[str, float]


def study_report(folder: Path, answers: Sequence[Answers], *, least: float = LEAST_CONSISTENCY) -> StudyReport:
    """Evaluate answers.

    Args:
      folder: of the study.
      answers: see `read_answers`.
      least: consistency below which a rater is left out.
    """
    key = study_key(folder)
    methods = sorted({method for options in key["options"].values() for method in options.values()})
    choices = [choice for found in answers for choice in found.choices]
    consistent = consistency(choices)
    left_out = {rater: part for rater, part in consistent.items() if part < least}
    kept = [c for c in choices if not c.again and c.rater not in left_out]
    questions = {}
    for question in QUESTIONS:
        own = [c for c in kept if c.question == question]
        questions[question] = QuestionReport(
            len(own), strengths(own, methods), pairwise_agreement(own), krippendorff_alpha(own)
        )
    raters = [found.rater for found in answers if found.rater not in left_out]
    return StudyReport(questions, raters, left_out, consistent)


def write_report(folder: Path, report: StudyReport) -> list[Path]:
    """Write the report as JSON and Markdown beside the study; returns the files."""
    files = [folder / f"report.{end}" for end in ("json", "md")]
    write_text(files[0], json.dumps(report_json(report), indent=1) + "\n")
    write_text(files[1], report_markdown(report))
    return files


def report_json(report: StudyReport) -> dict[str, Any]:
    """A report as JSON values, NaN as null."""
    questions = {
        name: {
            "answers": found.answers,
            "agreement": _null(found.agreement),
            "alpha": _null(found.alpha),
            "methods": {method: strength._asdict() for method, strength in found.methods.items()},
        }
        for name, found in report.questions.items()
    }
    return {**report._asdict(), "questions": questions}


def report_markdown(report: StudyReport) -> str:
    """A report for people."""
    parts = [
        "# Preference study",
        f"{len(report.raters)} raters count; in brackets 95 % intervals that resample raters and cases. Strength is "
        "the log of a method's weight in Luce's choice model (Bradley-Terry for two options); its mean is 0.",
    ]
    for name, found in report.questions.items():
        ordered = sorted(found.methods, key=lambda method: -found.methods[method].share[0])
        lines = [
            f"| {m} | {_percent(found.methods[m].share)} | {_bounds(found.methods[m].strength)} |" for m in ordered
        ]
        head = "| method | picked, % | strength |\n|---|---|---|"
        agreed = "-" if math.isnan(found.agreement) else f"{100 * found.agreement:.0f} %"
        alpha = "-" if math.isnan(found.alpha) else f"{found.alpha:.2f}"
        parts += [f"## {name}: {QUESTIONS[name]}", "\n".join([head, *lines])]
        parts.append(f"{found.answers} answers; pairs of raters agree in {agreed}, Krippendorff's alpha {alpha}.")
    if report.left_out:
        names = ", ".join(f"{rater} ({100 * part:.0f} %)" for rater, part in report.left_out.items())
        parts.append(f"Left out, because repeated cases were answered differently: {names}.")
    parts += _paper(report)
    return "\n\n".join(parts) + "\n"


def _paper(report: StudyReport) -> list[str]:
    methods = {method for found in report.questions.values() for method in found.methods}
    parts = []
    for paper in PAPER_STUDIES.values():
        if sum(paper_method(method, paper) is not None for method in methods) < 2:
            continue
        lines = [f"| {name} | {' | '.join(f'{v:.1f}' for v in values)} |" for name, values in paper.rows.items()]
        head = "| method | background, % | text, % | quality, % |\n|---|---|---|---|"
        parts += [f"## The paper, table {paper.number}: {paper.title}, 30 people, 50 cases", "\n".join([head, *lines])]
    return parts


def _percent(values: tuple[float, float, float]) -> str:
    mean, low, high = (100 * value for value in values)
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def _bounds(values: tuple[float, float, float]) -> str:
    return f"{values[0]:+.2f} [{values[1]:+.2f}, {values[2]:+.2f}]"


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value
