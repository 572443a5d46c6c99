"""The one exception that a person's mistake raises; entry points turn it into one line and exit status 2."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

_AGAIN = 1.0
"""Seconds after which a Ctrl-C that had no effect is repeated."""


class UserError(Exception):
    """Bad input. The message says what was given, what was expected and what to do, in one line."""


def run_cli(main: Callable[[], int | None]) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C."""
    try:
        with _sure_interrupt():
            status = main() or 0
        sys.exit(status)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


@contextlib.contextmanager
def _sure_interrupt() -> Iterator[None]:
    """Context in which Ctrl-C gets through: Python drops what rises inside of the garbage collector's callbacks, and
    JAX has one of them."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored (nohup), or somebody else's
        yield
        return
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
