"""Progress lines: means over an interval, speed, time left, losses by timestep, and the alarm for bad numbers."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.runs import recorder as module
from vp_jax.runs.recorder import NotFinite, Recorder, duration


class Writer(list):
    def write(self, step, values):
        self.append((step, values))


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def metrics(loss, **more):
    return {"loss": np.float32(loss), "grad_norm": np.float32(2), **more}


def test_an_interval_is_the_mean_of_its_steps(clock):
    writer = Writer()
    recorder = Recorder(writer, lambda step: 0.1 * (step + 1), 20, 8, None, None)
    for step, loss in ((1, 1.0), (2, 3.0)):
        clock.now += 2.0
        recorder.add(step, metrics(loss), waited=0.5)
    line = recorder.flush()
    ((step, values),) = writer
    assert step == 2 and values["loss"] == 2.0 and values["lr"] == pytest.approx(0.2)
    assert values["examples_per_s"] == 4.0 and values["data_wait"] == 0.25 and "mfu" not in values
    assert line == "step 2/20  loss 2  grad 2  lr 0.2  4 examples/s  data wait 25.0%  36 s left"


def test_share_of_the_peak_is_reported_where_both_are_known(clock):
    writer = Writer()
    recorder = Recorder(writer, lambda step: 1.0, 10, 4, 3e12, 12e12)
    clock.now += 0.5
    recorder.add(1, metrics(1.0), waited=0.0)
    assert "mfu 50.0%" in recorder.flush() and writer[0][1]["mfu"] == 0.5


def test_losses_by_timestep_are_sums_over_counts(clock):
    writer = Writer()
    recorder = Recorder(writer, lambda step: 1.0, 10, 4, None, None)
    for step, total in ((1, 6.0), (2, 2.0)):
        clock.now += 1
        bins = np.zeros(10)
        bins[3] = total
        recorder.add(step, metrics(1.0, bin_loss=bins, bin_count=(bins > 0) * 2.0), waited=0.0)
    recorder.flush()
    values = writer[0][1]
    assert values["loss_t300"] == 2.0 and not {name for name in values if name.startswith("loss_t")} - {"loss_t300"}
    assert not {name for name in values if name.startswith("bin_")}


def test_time_between_intervals_is_not_the_steps(clock):
    writer = Writer()
    recorder = Recorder(writer, lambda step: 1.0, 10, 4, None, None)
    for step in (1, 2):
        clock.now += 1.0
        recorder.add(step, metrics(1.0), waited=0.0)
        recorder.flush()
        clock.now += 60.0  # saving, validation
        recorder.pause()
    assert [values["examples_per_s"] for _, values in writer] == [4.0, 4.0]
    recorder.add(3, metrics(1.0), waited=0.0)
    clock.now += 1.0
    recorder.pause()
    clock.now += 1.0
    recorder.flush()
    assert writer[-1][1]["examples_per_s"] == 2.0, "a step under way keeps its time"


def test_it_is_due_at_multiples_and_never_with_zero():
    recorders = [Recorder(None, lambda step: 1.0, 10, 4, None, None, every) for every in (4, 0)]
    assert [[step for step in range(1, 10) if one.due(step)] for one in recorders] == [[4, 8], []]


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_numbers_that_are_not_finite_end_the_run(name, clock):
    recorder = Recorder(None, lambda step: 1.0, 10, 4, None, None)
    clock.now += 1
    recorder.add(1, metrics(1.0), 0.0)
    recorder.add(2, {**metrics(1.0), name: np.float32(np.nan)}, 0.0)
    with pytest.raises(UserError, match=f"{name} not finite between steps 1 and 2"):
        recorder.flush()


@pytest.mark.parametrize("seconds, text", [(9, "9 s"), (600, "10 min"), (15_000, "4 h 10 min"), (273_600, "3 d 4 h")])
def test_durations_have_two_units_at_most(seconds, text):
    assert duration(seconds) == text


def test_the_alarm_carries_the_bad_steps_with_their_clips_and_losses(clock):
    recorder = Recorder(None, lambda step: 1.0, 10, 4, None, None)
    clock.now += 1
    for step, losses in ((1, [1.0, 2.0]), (2, [1.0, np.nan]), (3, [1.0, 1.0])):
        by_example = {"loss_by_example": np.array(losses)}
        recorder.add(step, metrics(np.mean(losses), **by_example), 0.0, [f"clip {step}", "other"])
    with pytest.raises(NotFinite, match="loss not finite") as raised:
        recorder.flush()
    (bad,) = raised.value.steps
    assert (bad.step, bad.clips, raised.value.names) == (2, ("clip 2", "other"), "loss")
    np.testing.assert_array_equal(bad.losses_B, [1.0, np.nan])


def test_captions_that_are_not_read_completely_are_counted(clock):
    writer = Writer()
    recorder = Recorder(writer, lambda step: 1.0, 10, 4, None, None)
    for step, unread in ((1, 2), (2, 1)):
        clock.now += 1
        recorder.add(step, metrics(1.0), 0.0, ["a", "b"], unread)
    assert "3 captions longer than the model reads, or with unknown words" in recorder.flush()
    clock.now += 1
    recorder.add(3, metrics(1.0), 0.0, ["a", "b"], 0)
    assert "captions" not in recorder.flush(), "of an interval"
    assert [values.get("captions_cut") for _, values in writer] == [3.0, None]
