"""The loop of training: what happens after which step, and how it ends (the program: tests/test_train.py)."""

import signal

import jax
import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.runs.shutdown import ShutdownSignal
from vp_jax.runs.train import Trainer, loop
from vp_jax.training.state import TrainState


class Log(list):
    """What happened, in order, as (what, step)."""


class FakeTrainer:
    """Counts steps; ``stop`` receives a signal during step ``told``."""

    frozen = "frozen"
    versions = "average and raw"

    def __init__(self, log, done=0, stop=None, told=None):
        self.log, self.done, self.stop, self.told = log, done, stop, told

    @property
    def state(self):
        return f"state {self.done}"

    def step(self):
        self.done += 1
        if self.done == self.told:
            self.stop.received = signal.SIGTERM
        self.log.append(("step", self.done))
        return {"loss": np.float32(self.done)}, 0.5, [f"clip {self.done}"], 3


class Asked:
    """Due at multiples of ``every``."""

    def __init__(self, log, every):
        self.log, self.every = log, every

    def due(self, step):
        return bool(self.every) and step % self.every == 0


class FakeRecorder(Asked):
    pending = ()

    def add(self, step, metrics, waited, clips, unread):
        assert float(metrics["loss"]) == step and (waited, clips, unread) == (0.5, [f"clip {step}"], 3)
        self.pending = (*self.pending, step)

    def flush(self):
        self.log.append(("log", self.pending))
        self.pending = ()
        return "a line"

    def pause(self):
        pass


class FakeValidator(Asked):
    def run(self, step, versions, frozen, *, last):
        assert (versions, frozen) == ("average and raw", "frozen")
        self.log.append(("validate all" if last else "validate", step))


class FakeSaver(Asked):
    fails = False

    def check(self):
        if self.fails:
            raise UserError("a checkpoint cannot be written")

    def save(self, step, state, *, wait):
        assert state == f"state {step}"
        self.log.append(("save and wait" if wait else "save", step))


def run(steps, *, done=0, log=0, validate=0, save=0, told=None):
    events, stop = Log(), ShutdownSignal()
    trainer = FakeTrainer(events, done, stop, told)
    validator = FakeValidator(events, validate) if validate else None
    finished = loop(trainer, steps, FakeRecorder(events, log), validator, FakeSaver(events, save), stop)
    return finished, [event for event in events if event[0] != "step"]


def test_each_is_done_when_due_and_all_at_the_end():
    finished, events = run(5, log=2, validate=3, save=4)
    assert finished
    assert events == [
        ("log", (1, 2)),
        ("validate", 3),
        ("log", (3, 4)),
        ("save", 4),
        ("log", (5,)),
        ("validate all", 5),
        ("save and wait", 5),
    ]


def test_a_line_is_written_before_every_checkpoint():
    """Numbers that are not finite end the run there: none is saved with bad weights."""
    assert run(4, save=2)[1] == [("log", (1, 2)), ("save", 2), ("log", (3, 4)), ("save and wait", 4)]


def test_asked_to_stop_it_logs_and_saves_at_once_and_looks_at_no_pictures():
    finished, events = run(9, log=9, validate=1, save=9, told=3)
    assert not finished
    assert events == [("validate", 1), ("validate", 2), ("log", (1, 2, 3)), ("save and wait", 3)]


def test_a_run_that_is_complete_does_nothing():
    assert run(4, done=4, log=1, save=1) == (True, [])
    assert run(5, done=4)[1] == [("log", (5,)), ("save and wait", 5)]


def test_a_checkpoint_that_could_not_be_written_ends_the_run():
    class Failing(FakeSaver):
        fails = True

    with pytest.raises(UserError, match="cannot be written"):
        loop(FakeTrainer(Log()), 3, FakeRecorder([], 1), None, Failing([], 0), ShutdownSignal())


def test_all_processes_agree_on_the_step_to_stop_at(monkeypatch):
    """Of several processes none stops by its own signal: JAX announces the step."""

    class Agreed(FakeSaver):
        def preempted(self, step):
            return step == 2

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    events, stop = Log(), ShutdownSignal(alone=False)
    trainer = FakeTrainer(events, stop=stop, told=1)
    assert not loop(trainer, 5, FakeRecorder(events, 0), None, Agreed(events, 0), stop)
    assert trainer.done == 2 and events[-1] == ("save and wait", 2)


@pytest.mark.parametrize("ema, want", [(None, "params"), ("average", "average")])
def test_the_average_stands_for_the_weights_if_there_is_one(ema, want):
    trainer = Trainer(None, None, TrainState(0, "params", None, ema), None, None, None, 0)
    assert trainer.averaged == want
    assert trainer.versions == ({"": "params"} if ema is None else {"": "average", "raw": "params"})
