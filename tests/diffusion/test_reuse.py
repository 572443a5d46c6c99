"""Which steps reuse an estimate: by a factor, by a drift, and never against what is fixed."""

import itertools
import json

import numpy as np
import pytest

from vp_jax.diffusion.reuse import Budget, Drift, reused_steps
from vp_jax.diffusion.schedule import Schedule
from vp_jax.diffusion.steps import SAMPLERS
from vp_jax.errors import UserError

TABLE = SAMPLERS["dpm"].table(Schedule(), 20)
LINE = Drift(
    tuple(range(999, -1, -111)), tuple(tuple(max(0.0, 0.1 * (j - i)) for j in range(10)) for i in range(10))
)  # fmt: skip


def runs(reused, steps):
    """Lengths of the runs of reused steps."""
    return [len(list(group)) for on, group in itertools.groupby(range(steps), lambda step: step in reused) if on]


@pytest.mark.parametrize("factor, calls", [("1x", 20), ("1.5x", 13), ("2x", 10), ("4x", 5)])
def test_a_factor_is_kept_and_spread_over_the_steps(factor, calls):
    reused = reused_steps(LINE, TABLE.timestep, Budget.parse(factor))
    assert 20 - len(reused) <= calls and 0 not in reused and 19 not in reused
    assert max(runs(reused, 20), default=0) <= float(factor[:-1])


def test_no_reused_step_drifts_by_more_than_the_threshold_and_no_computed_one_by_less():
    reused = reused_steps(LINE, TABLE.timestep, Budget.parse("0.12"))
    last = 0
    for step in range(1, 20):
        drift = LINE.between(TABLE.timestep[last], TABLE.timestep[step])
        assert (drift <= 0.12) == (step in reused) or step == 19
        last = last if step in reused else step


def test_steps_at_which_guidance_begins_are_computed():
    free = reused_steps(LINE, TABLE.timestep, Budget.parse("1.5x"))
    assert free[0] not in reused_steps(LINE, TABLE.timestep, Budget.parse("1.5x"), (free[0],))


def test_drift_is_the_error_of_the_velocity_relative_to_the_estimate():
    rng = np.random.default_rng(0)
    clips = [[rng.standard_normal((3, 2)) for _ in range(20)] for _ in range(2)]
    drift = Drift.measured(TABLE, clips)
    for i, j in ((0, 1), (3, 9)):
        share = sum(((x[j] - x[i]) ** 2).sum() for x in clips) / sum((x[j] ** 2).sum() for x in clips)
        assert drift.drift[i][j] == pytest.approx(np.sqrt(share) / TABLE.sigma[j])
    assert drift.drift[9][3] == 0 and drift.between(TABLE.timestep[3], TABLE.timestep[9]) == drift.drift[3][9]
    again = Drift.of_json(json.loads(json.dumps(drift.as_json())))
    assert again.timesteps == drift.timesteps and np.allclose(again.drift, drift.drift, atol=1e-4)


@pytest.mark.parametrize("text", ["", "x", "0", "0.5x", "11x", "-1", "1.5 x", "nan", "1e3"])
def test_a_budget_is_a_factor_or_a_drift(text):
    with pytest.raises(UserError, match=r"^step_cache .*: expected a factor such as 1.5x"):
        Budget.parse(text)


@pytest.mark.parametrize(
    "values",
    [{}, [], {"format": 2}, {"format": 1, "timesteps": [9, 3], "drift": [[0, 1]]},
     {"format": 1, "timesteps": [3, 9], "drift": [[0, 1], [0, 0]]}, {"format": 1, "timesteps": [9, 3], "drift": 1},
     {"format": 1, "timesteps": [9, 3], "drift": [[0, float("nan")], [0, 0]]}],
)  # fmt: skip
def test_what_is_no_step_cache_is_refused(values):
    with pytest.raises(UserError, match="step cache"):
        Drift.of_json(values)
