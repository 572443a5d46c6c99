"""The one exception that bad input raises; entry points turn it into one line and exit status 2."""

from __future__ import annotations

import math


class UserError(Exception):
    """Bad input. The message says what was given, what was expected and what to do, in one line."""

    def __str__(self) -> str:
        return escaped(super().__str__())


def escaped(text: str) -> str:
    """``text`` in one line, with whatever a terminal would obey (line breaks, colours, cursor) as Python writes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def check_numbers(
    settings: object, names: str, least: float = 0, most: float = math.inf, *, above: bool = False, group: str = ""
) -> None:
    """Numbers of ``settings`` are finite and in their range.

    Args:
      settings: what has the numbers.
      names: attributes of ``settings``, with spaces between.
      least: smallest value allowed.
      most: largest value allowed.
      above: ``least`` itself is not allowed.
      group: stands before the names in the message.

    Raises:
      UserError: the first that is not.
    """
    expected = f"above {least}" if above else f"{least} or more" if most == math.inf else f"{least} to {most}"
    for name in names.split():
        value = getattr(settings, name)
        if not (math.isfinite(value) and least <= value <= most and not (above and value == least)):
            raise UserError(f"{group}{name} {value}: expected {expected}")
