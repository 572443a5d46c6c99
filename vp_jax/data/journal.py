"""The log of bad records: each is named once with its reason, and too many of them end the run.

Each name is one line of JSON, appended in a single write, so that worker processes can share the file. Each process
counts its own records, and raises when more than ``max_rate`` of at least ``min_seen`` records were bad.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from vp_jax.data.sources.scan import ScanReport
from vp_jax.errors import UserError
from vp_jax.reading import check_regular, read_bytes

MOST_JOURNAL = 1 << 30
"""Bytes of the largest journal that is read."""


class Journal:
    """Counts records and names the bad ones.

    Args:
      path: file of the log; ``None`` only counts.
      max_rate: largest share of bad records.
      min_seen: records to count before that share is checked.
    """

    def __init__(self, path: Path | str | None = None, max_rate: float = 0.05, min_seen: int = 100):
        self.path = Path(path) if path else None
        self.max_rate = max_rate
        self.min_seen = min_seen
        self._reset()
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def _reset(self) -> None:
        self.seen = 0
        self.skipped = 0
        self._named: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """State for another process, without counts and lock."""
        return {"path": self.path, "max_rate": self.max_rate, "min_seen": self.min_seen}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def good(self) -> None:
        """Count a record that was used."""
        with self._lock:
            self.seen += 1

    def skip(self, id: str, origin: str, reason: str) -> None:
        """Count and name a record that was not used.

        Raises:
          UserError: more than ``max_rate`` of the records were bad.
        """
        with self._lock:
            self.seen += 1
            self.skipped += 1
            self._write("skipped", id, origin, reason)
            if self.seen >= self.min_seen and self.skipped > self.max_rate * self.seen:
                where = f"see {self.path}" if self.path else f"last: {id}: {reason}"
                raise UserError(
                    f"{self.skipped} of {self.seen} records could not be used, more than the {self.max_rate:.1%} that "
                    f"is allowed; {where}; repair the data or raise max_bad_rate"
                )

    def note(self, id: str, origin: str, reason: str) -> None:
        """Name something unusual about a record that was used."""
        with self._lock:
            self._write("used", id, origin, reason)

    def exclude(self, id: str, origin: str, reason: str) -> None:
        """Name a record that later starts of the run leave out, see `vp_jax.data.pipeline.LoaderConfig.excluded`."""
        with self._lock:
            self._write("excluded", id, origin, reason)

    def scanned(self, report: ScanReport) -> None:
        """Write down what the scan of a source found; entries of an earlier start of the run are not repeated."""
        entries = [("summary", "", report.place, report.summary)]
        entries += [("skipped", found.id, found.origin, found.reason) for found in report.left_out]
        entries += [("used", found.id, found.origin, found.reason) for found in report.remarks]
        with self._lock:
            known = set(_entries(self.path)) if self.path else set()
            for entry in entries:
                if entry not in known:
                    self._write(*entry)

    def _write(self, kind: str, id: str, origin: str, reason: str) -> None:
        if self.path is None or (id, reason) in self._named:
            return
        self._named.add((id, reason))
        line = json.dumps({"kind": kind, "id": id, "origin": origin, "reason": reason}, ensure_ascii=False)
        try:
            if os.path.lexists(self.path):
                check_regular(self.path)
            with open(self.path, "ab", buffering=0) as file:
                file.write(line.encode(errors="backslashreplace") + b"\n")
        except OSError as error:
            raise UserError(f"{self.path}: cannot be written ({error.strerror or error})") from error


def read_journal(path: Path | str, kind: str = "skipped") -> dict[str, str]:
    """Read the first reason of every named record, ``{id: reason}``; empty if there is no file.

    Args:
      path: file of the log.
      kind: ``skipped`` for bad records, ``used`` for notes about good ones, ``excluded`` for those left out.
    """
    named: dict[str, str] = {}
    for entry_kind, id, _, reason in _entries(path):
        if entry_kind == kind:
            named.setdefault(id, reason)
    return named


def _entries(path: Path | str) -> list[tuple[str, str, str, str]]:
    """Kind, id, origin and reason of every line, without those that a crash cut off or damaged."""
    if not os.path.lexists(path):
        return []
    entries = []
    for text in read_bytes(path, MOST_JOURNAL).splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            line = json.loads(text)
            entries.append(tuple(str(line[name]) for name in ("kind", "id", "origin", "reason")))
    return entries  # type: ignore[return-value]
