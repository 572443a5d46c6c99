"""A stage with a model, for tests: what it does with a record follows from the record's name."""

from __future__ import annotations

from dataclasses import dataclass

from vp_jax.curate.asking import ModelStage
from vp_jax.curate.record import Dropped
from vp_jax.curate.store import TryAgain
from vp_jax.errors import UserError

LOADED: list[str] = []
"""Models that were loaded."""
ASKED: list[list[str]] = []
"""Questions that a model got together."""


@dataclass(frozen=True)
class Tagging(ModelStage):
    """Asks for two words of each record: "bad" fails before it asks, "dull" is dropped by its answer.

    A model that fails a batch with "hard" in it answers everything but that when it is asked alone.
    """

    together: bool = True
    loads: bool = True

    name = "tagging"
    version = 1

    @property
    def holds_model(self):
        return True

    @property
    def batches(self):
        return self.together

    def load(self):
        LOADED.append(self.name)
        if not self.loads:
            raise TryAgain("no weights")
        return "model"

    def steps(self, clip, place):
        if clip.name == "bad":
            raise UserError(f"{place.path(clip.video)}: damaged")
        (place.folder / "file").write_text(clip.name)
        first = yield clip.name
        second = yield clip.name.upper()
        if clip.name == "dull":
            raise Dropped(f"nothing but {second}")
        return [clip.but(tags=[first, second], video=place.called("file"))]

    def answers(self, model, questions):
        ASKED.append([*questions])
        if "hard" in questions:
            raise ValueError("out of memory")
        return [f"{model} {question}" for question in questions]
