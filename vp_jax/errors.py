"""The one exception that a person's mistake raises; entry points turn it into one line and exit status 2."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

_AGAIN = 1.0
"""Seconds after which an interrupt that had no effect is repeated."""


class UserError(Exception):
    """Bad input. The message says what was given, what was expected and what to do, in one line."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler for instance: what tidies up after Ctrl-C does so now too."""


def run_cli(main: Callable[[], int | None], *, sigterm: bool = False) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C.

    ``sigterm``: SIGTERM raises `Terminated` in ``main``, and the status is 143, as without, but nothing is left undone.
    """
    try:
        with _sure_interrupt(*[signal.SIGINT, signal.SIGTERM][:1 + sigterm]):
            status = main() or 0
        sys.exit(status)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT))


def interrupt_arrived() -> None:
    """Who handles an interrupt says so: it is not repeated meanwhile."""
    signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def _sure_interrupt(*signals: signal.Signals) -> Iterator[None]:
    """Context in which interrupts get through: Python drops what rises inside of the garbage collector's callbacks,
    and JAX has one of them. Signals that are ignored (nohup), or somebody else's, stay so."""
    kind: type[KeyboardInterrupt] = KeyboardInterrupt

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal kind
        if number != signal.SIGALRM:
            kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
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
