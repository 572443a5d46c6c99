"""Graceful shutdown: the first signal is remembered, the second acts, other handlers come back."""

import os
import signal

import pytest

from vp_jax.runs.shutdown import ShutdownSignal


@pytest.fixture
def handled():
    """SIGTERM goes to a list instead of ending the tests."""
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


def test_the_first_signal_is_remembered_and_a_second_one_acts(handled, capfd):
    with ShutdownSignal() as stop:
        assert stop.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received is signal.SIGTERM and handled == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert handled == [signal.SIGTERM]
    assert (stop.status, stop.reason) == (143, "SIGTERM")
    assert capfd.readouterr().err == "SIGTERM: stopping after this step; press or send again to stop now\n"


def test_ctrl_c_is_a_signal_like_another():
    with ShutdownSignal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
    assert (stop.received, stop.status, stop.reason) == (signal.SIGINT, 130, "SIGINT")


def test_handlers_come_back_at_the_end(handled):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with ShutdownSignal():
        assert signal.getsignal(signal.SIGINT) is not before[1]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_of_several_processes_sigterm_is_left_to_jax_and_ctrl_c_passed_on_as_one(handled):
    with ShutdownSignal(alone=False) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received is None and handled == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.received is signal.SIGINT and handled == [signal.SIGTERM] * 2


def test_a_job_that_was_preempted_elsewhere_ends_as_by_sigterm():
    stop = ShutdownSignal()
    assert (stop.status, stop.reason) == (143, "preemption")
