"""The mask filter: the published rules are the defaults, and every broken rule is named with value and limit."""

import pytest

from vp_jax.curate.record import ClipRecord, Dropped
from vp_jax.curate.stages.mask_filter import FilterMasks

GOOD = {"area": 0.5, "change": 0.05, "worst_change": 0.3, "jitter": 0.001, "lost": 0.0, "confidence": 0.9}


def test_the_published_rules_are_the_defaults():
    rules = FilterMasks()
    assert (rules.least_area, rules.most_area, rules.most_change) == (0.3, 0.7, 0.2)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"area": 0.29}, r"covers 29\.0% \(30% to 70%\)"),
        ({"area": 0.71}, r"covers 71\.0% \(30% to 70%\)"),
        ({"change": 0.21}, r"changes its area by 21% \(at most 20%\)"),
        ({"lost": 0.5}, r"is lost in 50% \(at most 20%\)"),
        ({"jitter": 0.1}, r"trembles by 0\.100 \(at most 0\.02\)"),
    ],
)
def test_a_broken_rule_is_named(change, words):
    clip = ClipRecord("a", "a", things={"1": {**GOOD, **change}})
    with pytest.raises(Dropped, match=f"no mask passes: thing 1 {words}"):
        FilterMasks().process(clip, None)


def test_things_that_pass_stay_and_others_go():
    clip = ClipRecord("a", "a", things={"1": GOOD, "2": {**GOOD, "area": 0.1}, "3": {**GOOD, "area": 0.3}})
    assert {*FilterMasks().process(clip, None)[0].things} == {"1", "3"}
    assert {*FilterMasks(worst_change=0.2, least_area=0.2, most_area=0.4).faults(GOOD)} != set()


def test_nothing_tracked_is_a_reason():
    with pytest.raises(Dropped, match="nothing was tracked"):
        FilterMasks().process(ClipRecord("a", "a"), None)
