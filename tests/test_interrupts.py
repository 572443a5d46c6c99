"""Interrupts that get through, and the handlers that were there before."""

import gc
import os
import signal
import time

import pytest

from vp_jax.interrupts import Terminated, interrupt_arrived, sure_interrupt


@pytest.fixture(autouse=True)
def as_in_the_foreground():
    """A shell's background job ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_was_swallowed_is_repeated():
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), sure_interrupt(signal.SIGINT):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            pass  # as a callback of the garbage collector does
        time.sleep(5)
    assert 0.5 < time.monotonic() - begin < 4


def test_an_interrupt_that_has_been_handled_is_not():
    with sure_interrupt(signal.SIGINT):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            interrupt_arrived()
        time.sleep(1.5)


def test_sigterm_is_an_interrupt_of_its_own_kind():
    with pytest.raises(Terminated), sure_interrupt(signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


def test_handlers_are_put_back_and_ignored_signals_left_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
        with sure_interrupt(signal.SIGINT, signal.SIGTERM):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not handlers[0]
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == handlers
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_an_interrupt_waits_for_jaxs_callback_of_the_collector(capfd):
    def _xla_gc_callback(phase, info):
        gc.callbacks.remove(_xla_gc_callback)
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(10))

    with pytest.raises(KeyboardInterrupt), sure_interrupt(signal.SIGINT):
        gc.callbacks.append(_xla_gc_callback)
        gc.collect(0)
        time.sleep(0.8)
        pytest.fail("the interrupt was repeated too late")
    assert "ignored" not in capfd.readouterr().err
