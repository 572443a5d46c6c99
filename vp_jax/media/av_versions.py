"""Where versions of PyAV differ: titles in other encodings than UTF-8, and the type of rates and time bases."""

from fractions import Fraction
from typing import Any, Protocol

import av

ANY_TITLE: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Arguments of ``av.open`` for reading. PyAV 19 has no such argument: it reads bytes that are not UTF-8 as surrogates,
and writes them as they were."""


def readable(text: str) -> str:
    """What a file calls something, with a replacement character for each byte that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Ratio(Protocol):
    """An integer, a fraction, or PyAV 19's own kind."""

    @property
    def numerator(self) -> int:
        """As of a fraction."""

    @property
    def denominator(self) -> int:
        """As of a fraction."""


def exact(ratio: Ratio) -> Fraction:
    """A rate or a time base as a fraction, whose products are exact and have no largest value."""
    return Fraction(ratio.numerator, ratio.denominator)


def exact_or_none(ratio: Ratio | None) -> Fraction | None:
    """`exact`, where a file may state nothing, which PyAV 19 gives as 0/0."""
    return exact(ratio) if ratio else None
