"""Tag: words for what may be seen, which the next stage looks for (paper: Recognize Anything).

Without a model nothing is tagged, and boxes are those of anything that moves or stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vp_jax.curate.ask import ask_all, connected, takes_batches
from vp_jax.curate.asking import ModelStage, StageSteps, one_by_one
from vp_jax.curate.frames import sampled
from vp_jax.curate.loaded import florence_of
from vp_jax.curate.plugins import is_plugin, load_plugin
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.media.pictures import evenly
from vp_jax.vlm.protocol import Question

PROMPT = (
    "These are key frames of one video, in order. List the things in it that could be cut out with a mask: people, "
    "animals, vehicles, objects. One or two words each, the most prominent first."
)
FLORENCE = "florence2"
TAG_SCHEMA = {
    "type": "object",
    "properties": {"tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["tags"],
}


@dataclass(frozen=True)
class Tag(ModelStage):
    """The stage.

    Attributes:
      model: a model as `vp_jax.vlm` connects to it; "florence2"; ``package.module:function`` that takes frames FHWC
        and returns words; or "": no tags.
      weights: folder or hub id of "florence2".
      key_frames: that are shown to the model.
      most: tags that are kept.
      required: a clip without a tag is dropped, if there is a model.
    """

    model: str = ""
    weights: str = ""
    key_frames: int = 4
    most: int = 8
    required: bool = True

    name: ClassVar[str] = "tag"
    version: ClassVar[int] = 1

    @property
    def holds_model(self) -> bool:
        """See `vp_jax.curate.asking.ModelStage`."""
        return bool(self.model)

    @property
    def batches(self) -> bool:
        """Florence-2 and local models see the frames of several clips together."""
        return self.model == FLORENCE or takes_batches(self.model)

    def load(self) -> Any:
        """See `vp_jax.curate.asking.ModelStage`."""
        if is_plugin(self.model):
            return load_plugin(self.model)
        return florence_of(self.weights) if self.model == FLORENCE else connected(self.model)

    def steps(self, clip: ClipRecord, place: StagePlace) -> StageSteps:
        """See `vp_jax.curate.asking.ModelStage`; a question is a clip's key frames, its answer a list of words."""
        if not self.model:
            return [clip]
        tags = yield [*sampled(place.path(clip.video), evenly(clip.frames, self.key_frames)).values()]
        words = list(dict.fromkeys(word.strip().lower() for word in tags if word.strip()))[: self.most]
        if self.required and not words:
            raise Dropped("no tag: the model names nothing that could be masked")
        return [clip.but(tags=words, models=clip.made_by(self.name, f"{self.model} {self.weights}".strip()))]

    def answers(self, model: Any, questions: Sequence[Sequence[np.ndarray]]) -> Sequence[Any]:
        """See `vp_jax.curate.asking.ModelStage`."""
        if is_plugin(self.model):
            return one_by_one(model, questions)
        if self.model == FLORENCE:
            named: Sequence[Any] = model.things_of(questions)
            return named
        found = ask_all(self.model, model, [Question(PROMPT, frames, TAG_SCHEMA) for frames in questions])
        return [answer if isinstance(answer, Exception) else answer["tags"] for answer in found]
