"""Several records through a stage with a model: their questions are answered together, round by round.

    record 1    frames --- question ---+            +--- answer --- stored
    record 2    damaged: stored        |  a batch   |
    record 3    frames --- question ---+            +--- answer --- question ---+  the next batch ...

A record is stored as soon as it is done, so a kill loses the records that still wait and no others. One whose result is
stored already asks nothing.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from vp_jax.curate.asking import ModelStage, one_by_one
from vp_jax.curate.record import ClipRecord, key_of
from vp_jax.curate.store import StageOutcome, StageStore, outcome_of


def run_batch(
    store: StageStore, stage: ModelStage, clips: Sequence[ClipRecord], model: Callable[[], Any]
) -> list[StageOutcome]:
    """The outcomes of records at a stage, in order: stored ones, or computed together and stored.

    Args:
      store: of the run.
      stage: with a model.
      clips: that go through it.
      model: gives the stage's loaded model; called only if a record asks something.
    """
    with contextlib.ExitStack() as opened:
        works: dict[str, _RecordWork] = {}
        for clip in clips:
            if (key := key_of(stage, clip)) not in works and store.done(stage, clip) is None:
                works[key] = opened.enter_context(_RecordWork(store, stage, clip))
        waiting = [work for work in works.values() if work.goes_on()]
        while waiting:
            begun = time.monotonic()
            answers = _answers(stage, model, [work.question for work in waiting])
            share = (time.monotonic() - begun) / len(waiting)
            waiting = [work for work, answer in zip(waiting, answers) if work.goes_on(answer, share)]
    return [store.stored(stage, clip) for clip in clips]


class _RecordWork:
    """Work on one record between questions; its result is stored when it is done, and at no other exit."""

    def __init__(self, store: StageStore, stage: ModelStage, clip: ClipRecord) -> None:
        self.question: Any = None
        self._store, self._clip = store, clip
        self._opened = contextlib.ExitStack()
        self._place = self._opened.enter_context(store.place(stage, clip))
        self._steps = stage.steps(clip, self._place)
        self._seconds, self._asks = 0.0, False

    def __enter__(self) -> _RecordWork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def goes_on(self, answer: Any = None, seconds: float = 0.0) -> bool:
        """Work on with an answer, or with the exception in its place; whether the record asks again.

        ``seconds`` is the record's share of the time that the model took.
        """
        begun = time.monotonic()
        outcome = outcome_of(functools.partial(self._resumed, answer), self._place.path(self._clip.video))
        self._seconds += seconds + time.monotonic() - begun
        if not self._asks:
            self._store.keep(self._place, outcome._replace(seconds=self._seconds))
            self._opened.close()
        return self._asks

    def _resumed(self, answer: Any) -> Sequence[ClipRecord]:
        self._asks = False
        try:
            failed = isinstance(answer, Exception)
            self.question = self._steps.throw(answer) if failed else self._steps.send(answer)
        except StopIteration as end:
            records: Sequence[ClipRecord] = end.value
            return records
        self._asks = True
        return ()


def _answers(stage: ModelStage, model: Callable[[], Any], questions: Sequence[Any]) -> Sequence[Any]:
    """One answer for each question, or the exception that it failed by: where a batch fails, each is asked alone."""
    try:
        loaded = model()
    except Exception as error:
        return [error] * len(questions)
    if len(questions) > 1:
        with contextlib.suppress(Exception):
            return stage.answers(loaded, questions)
    return one_by_one(lambda question: stage.answers(loaded, [question])[0], questions)
