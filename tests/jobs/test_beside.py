"""A thread works on frames as they get ready, and ends with the run."""

import time

import pytest

from vp_jax.jobs.beside import Beside


def test_it_sees_each_frame_once_it_is_ready():
    seen = []

    def work(ready):
        for number in ready:
            seen.append(number)
            if number == 4:
                return "done"

    with Beside(work) as beside:
        beside.ready(2)
        while len(seen) < 2:
            time.sleep(0.001)
        assert seen == [0, 1]
        beside.ready(0)
        beside.ready(3)
        assert beside.finish() == "done" and seen == [0, 1, 2, 3, 4]


def test_what_fails_in_it_fails_the_run():
    def work(ready):
        raise OSError(f"disk full at {next(ready)}")

    with Beside(work) as beside, pytest.raises(OSError, match="disk full at 0"):
        while True:
            beside.ready(1)
            time.sleep(0.001)


def test_a_run_that_is_left_ends_it():
    left = []
    with pytest.raises(KeyboardInterrupt), Beside(lambda ready: left.append(list(ready))) as beside:
        beside.ready(1)
        raise KeyboardInterrupt
    assert left in ([[0]], [[]])
