"""Both protocols on made results: what must be better is better in ``correct``, and where ``reference`` fails."""

import pytest

from tests.eval.made_clips import made_clip
from tests.eval.orderings import BLIND, CORRECT, EQUAL_TO_PERFECT, faults, measured, ordered
from vp_jax.eval.scores import SCORES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def values():
    return measured(made_clip())


@pytest.mark.parametrize("name, results", [(row[0], row[1:]) for row in CORRECT], ids=[row[0] for row in CORRECT])
def test_better_results_have_better_scores(values, name, results):
    assert ordered(values, name, results), {result: values[result][name] for result in results}


def test_a_region_that_is_perfect_has_the_score_of_a_perfect_result(values):
    for result, names in EQUAL_TO_PERFECT.items():
        for name in names:
            assert values[result][name] == pytest.approx(values["perfect"][name], abs=1e-6), (result, name)


def test_no_result_is_better_than_the_truth(values):
    for name, best in values["perfect"].items():
        sign = 1 if SCORES[name].better == "higher" else -1
        if SCORES[name].protocol == "correct" and not name.startswith("warping"):
            for result, found in values.items():
                assert not sign * found[name] > sign * best + 1e-6, (result, name)


def test_the_reference_cannot_tell_a_kept_object_from_a_perfect_result(values):
    for column in BLIND:
        name = f"reference_masked_{column}"
        assert values["object"][name] == pytest.approx(values["perfect"][name], rel=1e-6)


def test_faults_are_reported(values):
    assert list(faults(values)) == []
    swapped = {**values, "perfect": values["object"], "object": values["perfect"]}
    assert "psnr: expected perfect better than blurred better than object" in list(faults(swapped))
