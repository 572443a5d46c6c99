"""The one exception that a person's mistake raises; entry points turn it into one line and exit status 2."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(Exception):
    """Bad input. The message says what was given, what was expected and what to do, in one line."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, from a scheduler for instance: what tidies up after Ctrl-C does so now too."""


def unwind_on_sigterm() -> None:
    """From now on SIGTERM raises `Terminated` in the main thread instead of ending the process at once."""
    def handle(number: int, frame: object) -> NoReturn:
        raise Terminated

    signal.signal(signal.SIGTERM, handle)


def run_cli(main: Callable[[], int | None]) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C, 143 on SIGTERM.
    """
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT))
