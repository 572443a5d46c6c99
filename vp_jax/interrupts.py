"""Interrupts that get through, and how a program ends: one line per mistake, the exit status, tidy on Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from vp_jax.errors import UserError

NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR)
_AGAIN = 1.0
"""Seconds after which an interrupt that had no effect is repeated."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler for instance; handled like Ctrl-C."""


def run_cli(main: Callable[[], int | None], *, sigterm: bool = False) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C.

    A full disk and a missing permission, which any write may meet, are reported like a `UserError`. With ``sigterm``,
    SIGTERM raises `Terminated` in ``main``; the status is 143, as without.
    """
    try:
        with _sure_interrupt(*[signal.SIGINT, signal.SIGTERM][: 1 + sigterm]):
            status = main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except OSError as error:
        if error.errno not in NO_WRITING:
            raise
        print(
            f"error: {error.filename or 'a file'} cannot be written ({error.strerror}): make room or choose another "
            f"folder, and run the same command again",
            file=sys.stderr,
        )
        status = 2
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        status = 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    sys.exit(status)  # not from within: what the exception still holds is let go before the interpreter ends


def interrupt_arrived() -> None:
    """Call this once an interrupt has been handled; it stops the repeats."""
    signal.setitimer(signal.ITIMER_REAL, 0)


@contextlib.contextmanager
def _sure_interrupt(*signals: signal.Signals) -> Iterator[None]:
    """Context that repeats an interrupt until it has an effect: Python drops exceptions raised inside callbacks of the
    garbage collector, and JAX has one. Leaves ignored (nohup) and already handled signals alone."""
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
