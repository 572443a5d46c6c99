"""How far a run of curation is, read from its store: workers of every runner, on every machine, write there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vp_jax.curate.record import ClipRecord, CurationStage
from vp_jax.curate.store import WAITING, StageStore
from vp_jax.errors import UserError

LOOK_EVERY = 2.0
"""Seconds between two looks."""
_MOST_LOOKS = 20_000
"""Results that one look asks for, so that a run over hundreds of thousands of clips is not slowed down."""

CurationProgressFn = Callable[[int, int, str], None]
"""Called with (clips done, clips in all, label)."""


class _Awaited(NamedTuple):
    """A result that was not there at the last look: of which stage (its number) and record, and in which folder."""

    at: int
    record: ClipRecord
    folder: Path


class ClipsDone:
    """Counts the clips that all stages are done with. What was seen done is not looked for again.

    Args:
      store: of the run.
      stages: in order, at least one.
      clips: that the first of them takes.
    """

    def __init__(self, store: StageStore, stages: Sequence[CurationStage], clips: Sequence[ClipRecord]) -> None:
        self._store, self._stages, self.count, self.done = store, stages, len(clips), 0
        self._awaited = [[self._wait(0, clip)] for clip in clips]

    @property
    def label(self) -> str:
        """The stage that the first unfinished clip waits for."""
        return self._stages[self._awaited[0][0].at if self._awaited else -1].name

    def look(self) -> None:
        """Count again."""
        asked, still = 0, []
        for number, results in enumerate(self._awaited):
            if asked >= _MOST_LOOKS:
                still += self._awaited[number:]
                break
            asked += len(results)
            if left := [later for awaited in results for later in self._left(awaited)]:
                still.append(left)
        self._awaited, self.done = still, self.count - len(still)

    def _wait(self, at: int, record: ClipRecord) -> _Awaited:
        return _Awaited(at, record, self._store.folder(self._stages[at], record))

    def _left(self, awaited: _Awaited) -> Iterator[_Awaited]:
        """The result itself if it is not there, else those of its records that are not."""
        if not awaited.folder.is_dir():
            yield awaited
            return
        outcome = self._store.stored(self._stages[awaited.at], awaited.record)
        if outcome.kind == WAITING:
            yield awaited
        elif awaited.at + 1 < len(self._stages):
            for record in outcome.records:
                yield from self._left(self._wait(awaited.at + 1, record))


@contextlib.contextmanager
def watched(
    store: StageStore,
    stages: Sequence[CurationStage],
    clips: Sequence[ClipRecord],
    progress: CurationProgressFn | None,
) -> Iterator[None]:
    """Context of stages over clips: ``progress`` is called at its begin, every `LOOK_EVERY` seconds, and at its end."""
    if progress is None or not stages or not clips:
        yield
        return
    counted, ended = ClipsDone(store, stages, clips), threading.Event()

    def report() -> None:
        # a result that is tried again is replaced: it may go while it is read, and is there at the next look
        with contextlib.suppress(OSError, UserError):
            counted.look()
        progress(counted.done, counted.count, counted.label)

    def keep_reporting() -> None:
        while not ended.wait(LOOK_EVERY):
            report()

    report()
    thread = threading.Thread(target=keep_reporting, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        report()
