"""Answers of raters: read, checked, translated."""

import json

import numpy as np
import pytest

from tests.vpbench.study.raters import answer, plan_of, write_raters
from vp_jax.errors import UserError
from vp_jax.vpbench.study.answers import check_answers, read_answers, study_key

PLAN = plan_of(cases=3, raters=2, repeats=1)


@pytest.fixture
def given():
    return answer(PLAN, 0, np.random.default_rng(0))


def check(values):
    return check_answers(json.dumps(values).encode(), "a.json", PLAN.key())


def test_tokens_become_methods_and_repeats_are_known(given):
    found = check(given)
    assert found.rater == "1" and len(found.choices) == 4 * 3
    assert [choice.again for choice in found.choices] == [False] * 9 + [True] * 3
    first = given["answers"][0]
    options = PLAN.options[first["case"]]
    assert found.choices[0].picked == options[first["picked"]["background"]]
    assert found.choices[0].shown == tuple(options[token] for token in first["shown"])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda v: v.update(study="other"), "a.json: answers of another study"),
        (lambda v: v.update(rater="../key"), "expected a rater of letters and digits"),
        (lambda v: v.update(answers=3), "and a list of answers"),
        (lambda v: v["answers"][1].update(case="x"), "answer 2 does not fit the study"),
        (lambda v: v["answers"][0]["picked"].update(text="x"), "answer 1 does not fit the study"),
        (lambda v: v["answers"][0].pop("picked"), "answer 1 does not fit the study"),
        (lambda v: v["answers"].append(7), "answer 5 does not fit the study"),
    ],
)
def test_what_does_not_fit_is_refused(given, change, message):
    change(given)
    with pytest.raises(UserError, match=message):
        check(given)


def test_a_pick_that_was_not_shown_is_refused(given):
    first, second = given["answers"][:2]
    first["picked"]["text"] = second["shown"][0]
    with pytest.raises(UserError, match="answer 1 does not fit"):
        check(given)


def test_files_of_a_folder_and_saved_ones_are_read_and_a_rater_counts_once(tmp_path):
    write_raters(tmp_path / "study", PLAN)
    saved = tmp_path / "saved.json"
    (tmp_path / "study" / "answers" / "2.json").rename(saved)
    assert [found.rater for found in read_answers(tmp_path / "study", [saved])] == ["1", "2"]
    with pytest.raises(UserError, match="rater 2 has answered in another file too"):
        read_answers(tmp_path / "study", [saved, saved])


def test_a_folder_without_key_or_answers_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"has no key\.json"):
        study_key(tmp_path)
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(UserError, match="is no key of a study"):
        study_key(tmp_path)
    (tmp_path / "key.json").write_text(json.dumps(PLAN.key()))
    with pytest.raises(UserError, match="has no answers yet"):
        read_answers(tmp_path)
