"""Stages that may hold a model: the work on a record is written as steps between the questions that it asks the model.

    def steps(self, clip, place):
        frames = key_frames(clip)
        words = yield frames                  # the model's answer
        return [clip.but(tags=words)]

So the questions of several records can be answered together (`vp_jax.curate.batches`), while a record that fails, or is
dropped, has nothing to do with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, ClassVar

from vp_jax.curate.record import ClipRecord, StagePlace

StageSteps = Generator[Any, Any, Sequence[ClipRecord]]
"""Work on a record: yields questions, gets answers, and returns the records that the clip becomes."""


class ModelStage:
    """A `vp_jax.curate.record.CurationStage` that may hold a model, depending on its settings."""

    name: ClassVar[str]
    version: ClassVar[int]

    @property
    def holds_model(self) -> bool:
        """Whether a model answers, with these settings; otherwise `steps` asks nothing."""
        raise NotImplementedError

    @property
    def batches(self) -> bool:
        """Whether the model answers questions of several records faster than one after the other."""
        return False

    def load(self) -> Any:
        """The model, loaded once in a process.

        Raises:
          TryAgain: it cannot be loaded; a rerun tries again.
          UserError: the settings name none.
        """
        raise NotImplementedError

    def steps(self, clip: ClipRecord, place: StagePlace) -> StageSteps:
        """The work on a record; raises what `vp_jax.curate.record.CurationStage.process` does."""
        raise NotImplementedError

    def answers(self, model: Any, questions: Sequence[Any]) -> Sequence[Any]:
        """The model's answers, in order; an exception in the place of an answer fails the record that asked."""
        raise NotImplementedError

    def process(self, clip: ClipRecord, place: StagePlace) -> Sequence[ClipRecord]:
        """Work on one record alone, see `vp_jax.curate.record.CurationStage`."""
        steps, answer = self.steps(clip, place), None
        while True:
            try:
                question = steps.send(answer)
            except StopIteration as end:
                records: Sequence[ClipRecord] = end.value
                return records
            (answer,) = self.answers(self.load(), [question])
            if isinstance(answer, Exception):
                raise answer


def one_by_one(ask: Callable[[Any], Any], questions: Sequence[Any]) -> list[Any]:
    """Answers of a model that takes one question at a time; the exception of one that fails is its answer."""
    found: list[Any] = []
    for question in questions:
        try:
            found.append(ask(question))
        except Exception as error:
            found.append(error)
    return found
