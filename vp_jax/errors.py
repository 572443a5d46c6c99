"""The one exception that a person's mistake raises; entry points turn it into one line and exit status 2."""

from __future__ import annotations

import contextlib
import errno
import math
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR)
_AGAIN = 1.0
"""Seconds after which an interrupt that had no effect is repeated."""


class UserError(Exception):
    """Bad input. The message says what was given, what was expected and what to do, in one line."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler for instance: what tidies up after Ctrl-C does so now too."""


def check_numbers(
    settings: object, names: str, least: float = 0, most: float = math.inf, *, above: bool = False, group: str = ""
) -> None:
    """Numbers of ``settings`` are finite and in their range.

    Args:
      names: attributes of ``settings``, with spaces between.
      least, most: ends of the range, both in it; ``above``: ``least`` is not.
      group: stands before the names in the message.

    Raises:
      UserError: the first that is not.
    """
    expected = f"above {least}" if above else f"{least} or more" if most == math.inf else f"{least} to {most}"
    for name in names.split():
        value = getattr(settings, name)
        if not (math.isfinite(value) and least <= value <= most and not (above and value == least)):
            raise UserError(f"{group}{name} {value}: expected {expected}")


def run_cli(main: Callable[[], int | None], *, sigterm: bool = False) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C.

    A full disk and a missing permission, which any write may meet, are told like a `UserError`. With ``sigterm``,
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
