"""Tag: words for what may be seen, which the next stage looks for (paper: Recognize Anything).

Without a model nothing is tagged, and boxes are those of anything that moves or stands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vp_jax.curate.ask import ask_model
from vp_jax.curate.frames import sampled
from vp_jax.curate.loaded import florence_of
from vp_jax.curate.plugins import is_plugin, load_plugin
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.media.pictures import evenly

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
class Tag:
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

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        if not self.model:
            return [clip]
        frames = [*sampled(place.path(clip.video), evenly(clip.frames, self.key_frames)).values()]
        if is_plugin(self.model):
            tags = load_plugin(self.model)(frames)
        elif self.model == FLORENCE:
            tags = florence_of(self.weights).things(frames)
        else:
            tags = ask_model(self.model, PROMPT, frames, TAG_SCHEMA)["tags"]
        words = list(dict.fromkeys(word.strip().lower() for word in tags if word.strip()))[: self.most]
        if self.required and not words:
            raise Dropped("no tag: the model names nothing that could be masked")
        return [clip.but(tags=words, models=clip.made_by(self.name, f"{self.model} {self.weights}".strip()))]
