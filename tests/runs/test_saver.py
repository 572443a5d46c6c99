"""When checkpoints are written, what is kept with them, and what a continued run reports."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import sharding
from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.errors import UserError
from vp_jax.runs.saver import Saver, check_continues
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.state import init_state

STATE = init_state(
    {"blocks": {"attn": {"to_q": {"bias": jnp.arange(16.0).reshape(2, 8)}}}}, make_optimizer(OptimConfig(), 9)
)


class FakeLoader:
    """Remembers its place."""

    def __init__(self, step=0, records=40):
        self.step, self.records = step, records

    def get_state(self):
        return {"step": self.step}

    def set_state(self, state):
        self.step = state["step"]


@pytest.fixture
def like():
    mesh = sharding.make_mesh({}, jax.devices()[:1])
    return sharding.shapes_at(STATE, sharding.place(STATE, mesh).shardings)


def test_it_is_due_at_multiples_and_never_with_zero(tmp_path):
    with TrainingCheckpoints(tmp_path, keep=1) as checkpoints:
        savers = [Saver(checkpoints, every, {}, FakeLoader()) for every in (3, 0)]
        assert [[step for step in range(1, 8) if saver.due(step)] for saver in savers] == [[3, 6], []]


def test_a_run_goes_on_with_state_place_and_changed_settings(tmp_path, like):
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        saver = Saver(checkpoints, 1, {"lr": 1.0, "steps": 4}, FakeLoader(step=5))
        assert saver.latest is None and saver.restore(like) is None
        saver.save(3, STATE, wait=True)
        saver.check()
        assert saver.latest == 3
    loader = FakeLoader()
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        resumed = Saver(checkpoints, 1, {"lr": 0.5, "steps": 4}, loader).restore(like)
    assert resumed.done == 3 and loader.step == 5
    assert resumed.lines == ("resumed from step 3; settings changed: lr 1.0 -> 0.5",)
    jax.tree.map(np.testing.assert_array_equal, resumed.state, STATE)


def test_data_that_grew_while_a_run_was_stopped_are_reported(tmp_path, like):
    with TrainingCheckpoints(tmp_path, keep=1) as checkpoints:
        Saver(checkpoints, 1, {}, FakeLoader(records=40)).save(1, STATE, wait=True)
        lines = [Saver(checkpoints, 1, {}, FakeLoader(records=count)).restore(like).lines for count in (40, 50)]
    assert lines[0] == ("resumed from step 1",)
    assert lines[1][1:] == ("the data had 40 records and have 50: from here on they come in another order",)


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_used(tmp_path, like):
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        saver = Saver(checkpoints, 1, {}, FakeLoader())
        for step in (1, 2):
            saver.save(step, STATE, wait=True)
    for file in (tmp_path / "2" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        resumed = Saver(checkpoints, 1, {}, FakeLoader()).restore(like)
    assert resumed.done == 1 and len(resumed.lines) == 2
    assert "checkpoint 2" in resumed.lines[0] and resumed.lines[1] == "resumed from step 1"


def test_nothing_to_export_and_exports_of_other_runs_are_refused(tmp_path):
    check_continues(tmp_path, None, export_only=False)
    with pytest.raises(UserError, match="nothing to export"):
        check_continues(tmp_path, None, export_only=True)
    (tmp_path / "export").mkdir()
    with pytest.raises(UserError, match="an export but no checkpoint"):
        check_continues(tmp_path, None, export_only=False)
    check_continues(tmp_path, 3, export_only=True)
