"""Interrupts that get through: Ctrl-C and SIGTERM as exceptions, repeated until they have an effect."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_AGAIN = 1.0
"""Seconds after which an interrupt that had no effect is repeated."""
_SOON = 0.02
"""Seconds to wait while JAX's callback of the garbage collector runs, which would drop the exception."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler for instance; handled like Ctrl-C."""


def interrupt_arrived() -> None:
    """Call this once an interrupt has been handled; it stops the repeats."""
    signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def sure_interrupt(*signals: signal.Signals) -> Iterator[None]:
    """Context that repeats an interrupt until it has an effect: Python drops exceptions raised inside callbacks of the
    garbage collector, and JAX has one. Leaves ignored (nohup) and already handled signals alone."""
    kind: type[KeyboardInterrupt] = KeyboardInterrupt

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal kind
        if number != signal.SIGALRM:
            kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if frame and frame.f_code.co_name == "_xla_gc_callback":
            signal.setitimer(signal.ITIMER_REAL, _SOON)
            return
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise kind

    usual = (signal.default_int_handler, signal.SIG_DFL)
    before = {number: signal.getsignal(number) for number in signals if signal.getsignal(number) in usual}
    before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        interrupt_arrived()
        for number, handler in before.items():
            signal.signal(number, handler)
