"""The plan of a study: blind, balanced, with repeats."""

import json
from collections import Counter

import pytest

from tests.vpbench.study.raters import plan_of
from vp_jax.cli.study import PRESET_NAMES
from vp_jax.errors import UserError
from vp_jax.vpbench.study.design import STUDY_PRESETS, StudySize, study_plan


def test_the_papers_design_is_a_preset():
    assert (STUDY_PRESETS["paper"].cases, STUDY_PRESETS["paper"].raters) == (50, 30)
    assert PRESET_NAMES == tuple(STUDY_PRESETS)


def test_every_rater_sees_every_case_once_and_the_repeats_later():
    plan = plan_of(cases=10, raters=5, repeats=3)
    for order in plan.orders:
        counts = Counter(trial.case for trial in order)
        assert set(counts) == set(plan.cases) and sorted(counts.values()) == [1] * 7 + [2] * 3
        first = {trial.case: trial for trial in reversed(order)}
        for trial in order[10:]:
            assert trial.shown != first[trial.case].shown and set(trial.shown) == set(first[trial.case].shown)
            assert order[10:].index(trial) + 10 - order.index(first[trial.case]) > 4, "some time has passed"
    assert len({tuple(trial.case for trial in order) for order in plan.orders}) == 5, "everybody has an own order"


def test_every_method_stands_in_every_place_equally_often():
    plan = plan_of(cases=9, raters=12, repeats=0)
    for case, options in plan.options.items():
        places = Counter(
            (options[token], place)
            for order in plan.orders
            for trial in order
            if trial.case == case
            for place, token in enumerate(trial.shown)
        )
        assert set(places.values()) == {4}


def test_nothing_that_raters_get_names_a_method_or_a_clip():
    plan = plan_of()
    public = json.dumps(plan.public())
    assert not any(name in public for name in (*plan.methods, *plan.cases.values()))
    tokens = [*plan.cases, *(token for options in plan.options.values() for token in options)]
    assert len(set(tokens)) == len(tokens) == 20 * 4


def test_plans_are_the_same_for_the_same_seed_only():
    assert plan_of(seed=1).public() == plan_of(seed=1).public() != plan_of(seed=2).public()
    assert plan_of(seed=1).name != plan_of(seed=2).name


@pytest.mark.parametrize(
    "clips, methods, size, message",
    [
        (["a"], ["x"], (1, 1, 0), "methods x: a study compares two or more"),
        (["a"], ["x", "y"], (2, 1, 0), "cases 2: only 1 clips have results of all methods"),
        (["a"], ["x", "y"], (1, 0, 0), "raters 0: expected 1 or more"),
        (["a"], ["x", "y"], (1, 1, 2), "repeats 2: expected 0 to 1"),
    ],
)
def test_mistakes_are_one_line(clips, methods, size, message):
    with pytest.raises(UserError, match=message):
        study_plan(clips, methods, StudySize(*size))
