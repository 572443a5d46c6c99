"""The one exception that a person's mistake raises; entry points turn it into one line and exit status 2."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input. The message says what was given, what was expected and what to do, in one line."""


NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR)


def check_numbers(settings: object, names: str, least: float = 0, most: float = math.inf, *, above: bool = False,
                  group: str = "") -> None:
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


def run_cli(main: Callable[[], int | None]) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C.

    A full disk and a missing permission, which any write may meet, are told like a `UserError`.
    """
    try:
        status = main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except OSError as error:
        if error.errno not in NO_WRITING:
            raise
        print(f"error: {error.filename or 'a file'} cannot be written ({error.strerror}): make room or choose another "
              f"folder, and run the same command again", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)  # not from within: what the exception still holds is let go before the interpreter ends
