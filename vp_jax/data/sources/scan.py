"""Scanning a source before training: what is used, and by name everything that is not.

    12 videos: 3 used, 2 without mask, 1 without caption, 1 mask not recognised ...; 2 other files

A scan opens the headers of every clip, so that a folder with the wrong masks is one clear line at the start and not a
run that ends after an hour.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar, overload

from vp_jax.data.records import BadRecord
from vp_jax.reading import show

MOST_OPENED = 2000
"""Clips that a scan opens; of longer tables it checks the cells, and files when they are drawn."""


class Named(Protocol):
    """Anything that a scan can name."""

    @property
    def id(self) -> str:
        """Name of the clip, unique in its source."""
        ...

    @property
    def origin(self) -> str:
        """The table or the file that it comes from."""
        ...


C = TypeVar("C", bound=Named)


class Unusable(BadRecord):
    """A clip of which no window can be used; ``kind`` is what it lacks, in the words of the summary."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Finding(NamedTuple):
    """Something about a clip or file: left out if it has a ``kind``, else used, with a remark."""

    id: str
    origin: str
    reason: str
    kind: str = ""


@dataclass(frozen=True)
class ScanReport:
    """What a scan found, to print and to write down.

    Attributes:
      place: the folder or table.
      summary: one line, how many are used and how many not for each reason.
      left_out: what is not used.
      remarks: on what is used.
    """

    place: str
    summary: str
    left_out: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Scan(Generic[C]):
    """A source of the clips that a scan found usable.

    Attributes:
      clips: used ones.
      findings: what was left out, and remarks on what is used.
      strays: files that belong to no clip.
      place: the folder or table.
      noun: what was scanned, in the plural: videos, rows.
    """

    clips: tuple[C, ...]
    findings: tuple[Finding, ...]
    place: str
    noun: str
    strays: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    @overload
    def __getitem__(self, index: int, /) -> C: ...
    @overload
    def __getitem__(self, index: slice, /) -> tuple[C, ...]: ...

    def __getitem__(self, index: int | slice, /) -> C | tuple[C, ...]:
        return self.clips[index]

    @property
    def report(self) -> ScanReport:
        """What is used, and by name what is not."""
        left_out = tuple(finding for finding in self.findings if finding.kind)
        remarks = tuple(finding for finding in self.findings if not finding.kind)
        return ScanReport(self.place, self.summary, (*left_out, *self.strays), remarks)

    @property
    def summary(self) -> str:
        """One line: how many are used, and how many not for each reason."""
        counts = Counter(finding.kind for finding in self.findings if finding.kind)
        total = len(self.clips) + sum(counts.values())
        noun = self.noun if total != 1 else self.noun.removesuffix("s")
        parts = [f"{len(self.clips)} used", *(f"{count} {_plural(kind, count)}" for kind, count in counts.items())]
        strays = f"; {len(self.strays)} {_plural('other file', len(self.strays))}" if self.strays else ""
        return f"{total} {noun}: {', '.join(parts)}{strays}"


def check_clips(clips: Sequence[C], check: Callable[[C], str]) -> tuple[tuple[C, ...], list[Finding]]:
    """Clips that pass, and findings on the others, in order; checked in threads.

    Args:
      clips: in the order of their source.
      check: returns a remark, "" for none, or raises `Unusable`.
    """

    def checked(clip: C) -> Finding:
        try:
            return Finding(clip.id, clip.origin, check(clip))
        except Unusable as error:
            return Finding(clip.id, clip.origin, str(error), error.kind)

    if len(clips) > MOST_OPENED:
        return tuple(clips), []
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        findings = list(pool.map(checked, clips))
    used = tuple(clip for clip, finding in zip(clips, findings) if not finding.kind)
    return used, [finding for finding in findings if finding.reason]


def first_reasons(findings: Iterable[Finding], most: int = 3) -> str:
    """The first things left out, for an error."""
    named = [f"{show(finding.id)}: {show(finding.reason)}" for finding in findings if finding.kind]
    return "; ".join(named[:most]) + (f"; and {len(named) - most} more" if len(named) > most else "")


def _plural(kind: str, count: int) -> str:
    """``mask not recognised`` -> ``masks not recognised``; kinds that start with a preposition stay."""
    first, _, rest = kind.partition(" ")
    if count == 1 or first in ("without", "with", "too", "at", "of"):
        return kind
    return kind + "s" if first == "other" else f"{first}s {rest}".strip()
