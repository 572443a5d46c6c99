"""A trace of some steps: which steps it holds, and what happens if the run ends before."""

import jax
import pytest

from vp_jax.runs.profile import Profile


@pytest.fixture
def traces(monkeypatch):
    """What the profiler was asked for, with the number of steps before."""
    asked = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: asked.append(("start", folder)))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: asked.append(("stop",)))
    return asked


def test_the_trace_begins_after_the_steps_that_compile_and_has_as_many_as_asked(traces, tmp_path, capsys):
    profile, seen = Profile(tmp_path, 3), []
    for step in range(1, 9):
        profile.step({"weights": jax.numpy.ones(2)})
        seen += [(step, what[0]) for what in traces[len(seen) :]]
    profile.close()
    assert seen == [(2, "start"), (5, "stop")] and traces[0] == ("start", str(tmp_path)) and len(traces) == 2
    assert capsys.readouterr().out == f"profile of 3 steps: tensorboard --logdir {tmp_path}\n"


def test_a_run_that_ends_before_has_a_shorter_trace(traces, tmp_path, capsys):
    profile = Profile(tmp_path, 3)
    for _ in range(3):
        profile.step({})
    profile.close()
    assert [what[0] for what in traces] == ["start", "stop"]
    assert "profile of 1 steps" in capsys.readouterr().out


def test_without_steps_nothing_is_traced(traces, tmp_path):
    profile = Profile(tmp_path, 0)
    for _ in range(5):
        profile.step({})
    profile.close()
    assert traces == []
