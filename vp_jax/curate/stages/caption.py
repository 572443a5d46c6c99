"""Caption: a dense text of the clip and one of every masked thing (paper: CogVLM2 and GPT-4o on key frames).

Any model that `vp_jax.vlm` connects to can be used. Embedded is a template, which says that it is one: it lets training
run, and teaches a model nothing about words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vp_jax.curate.ask import ask_all, connected, takes_batches
from vp_jax.curate.asking import ModelStage, StageSteps
from vp_jax.curate.frames import sampled
from vp_jax.curate.labels_video import read_labels
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.media.pictures import evenly
from vp_jax.vlm.protocol import Question

TEMPLATE = "template"
DENSE = (
    "These are key frames of one video, in order. Describe the video in one paragraph of two to four sentences: what "
    "is seen, what moves and how, the place, the light. Write no introduction."
)
REGION = (
    "These are key frames of one video, in order, with everything but one thing greyed out. Describe that thing in one "
    "sentence: what it is, its colours, and what it does. Do not mention that anything is greyed out."
)
CAPTION_SCHEMA = {"type": "object", "properties": {"caption": {"type": "string"}}, "required": ["caption"]}
_PLACES = (("upper", "middle", "lower"), ("left", "centre", "right"))


@dataclass(frozen=True)
class CaptionClips(ModelStage):
    """The stage.

    Attributes:
      model: as `vp_jax.vlm` connects to it, or "template".
      key_frames: uniformly sampled, that the model sees.
    """

    model: str = TEMPLATE
    key_frames: int = 8

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 1

    @property
    def holds_model(self) -> bool:
        """See `vp_jax.curate.asking.ModelStage`."""
        return self.model != TEMPLATE

    @property
    def batches(self) -> bool:
        """Local models answer questions about several clips together."""
        return takes_batches(self.model)

    def load(self) -> Any:
        """See `vp_jax.curate.asking.ModelStage`."""
        return connected(self.model)

    def steps(self, clip: ClipRecord, place: StagePlace) -> StageSteps:
        """See `vp_jax.curate.asking.ModelStage`; a question is a `Question`, its answer a caption."""
        numbers = evenly(clip.frames, self.key_frames)
        labels = list(read_labels(place.path(clip.masks), frozenset(numbers)))
        captions: dict[str, str] = {}
        if self.holds_model:
            frames = [*sampled(place.path(clip.video), numbers).values()]
            captions[""] = yield Question(DENSE, frames, CAPTION_SCHEMA)
            for thing in clip.things:
                shown = [alone(frame, map_HW == int(thing)) for frame, map_HW in zip(frames, labels)]
                captions[thing] = yield Question(REGION, shown, CAPTION_SCHEMA)
        else:
            regions = {thing: _region_template(labels, int(thing)) for thing in clip.things}
            captions = {"": _dense_template(clip, regions), **regions}
        return [clip.but(captions=captions, models=clip.made_by(self.name, self.model))]

    def answers(self, model: Any, questions: Sequence[Question]) -> Sequence[Any]:
        """See `vp_jax.curate.asking.ModelStage`."""
        found = ask_all(self.model, model, questions)
        return [answer if isinstance(answer, Exception) else str(answer["caption"]).strip() for answer in found]


def alone(frame_HWC: np.ndarray, mask_HW: np.ndarray) -> np.ndarray:
    """A frame uint8 with everything outside of a mask grey and faint."""
    grey_HW1 = frame_HWC.mean(axis=-1, keepdims=True)
    faint_HWC = np.broadcast_to(grey_HW1 * 0.3 + 160, frame_HWC.shape).astype(np.uint8)
    return np.where(mask_HW[:, :, None], frame_HWC, faint_HWC)


def _dense_template(clip: ClipRecord, regions: dict[str, str]) -> str:
    words = f", tagged {', '.join(clip.tags)}" if clip.tags else ""
    return (
        f"Template caption, no model has seen this video: a clip of {clip.seconds:.1f} seconds{words}, with "
        f"{len(regions)} masked {'thing' if len(regions) == 1 else 'things'}."
    )


def _region_template(labels: Sequence[np.ndarray], thing: int) -> str:
    """Place and size of a thing, which is all that is known without a model."""
    masks = [map_HW == thing for map_HW in labels]
    found = [(np.argwhere(mask_HW).mean(axis=0) / mask_HW.shape) for mask_HW in masks if mask_HW.any()]
    centre = np.mean(found, axis=0) if found else np.array([0.5, 0.5])
    row, column = (names[min(2, int(at * 3))] for names, at in zip(_PLACES, centre))
    share = float(np.mean([mask_HW.mean() for mask_HW in masks]))
    return f"Template caption: a thing in the {row} {column} of the picture that covers {share:.0%} of it."
