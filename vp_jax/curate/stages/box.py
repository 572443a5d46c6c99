"""Box: where things are, at fixed intervals of every shot (paper: Grounding DINO on the tags).

Embedded are proposals by motion and saliency, which know no classes. Boxes of one shot that overlap from one looked-at
frame to the next are one thing; the best box of a thing is what it is tracked from.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from vp_jax.curate.asking import ModelStage, StageSteps, one_by_one
from vp_jax.curate.frames import sampled
from vp_jax.curate.loaded import detector_of
from vp_jax.curate.plugins import is_plugin, load_plugin
from vp_jax.curate.proposals import Proposal, overlap_of, propose
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.shots import shots_of
from vp_jax.errors import UserError
from vp_jax.segment.prompts import MOST_THINGS

EMBEDDED, WORDS, DETECTOR = "proposals", "words", "grounding_dino"
Boxes = list[tuple[Proposal, str]]
"""Boxes of a frame with their words."""


class ShotLook(NamedTuple):
    """Frames of a shot, uint8 HWC, and what is looked for in them."""

    frames: Sequence[np.ndarray]
    tags: Sequence[str]


@dataclass(frozen=True)
class ProposeBoxes(ModelStage):
    """The stage.

    Attributes:
      model: "proposals" (embedded); "grounding_dino": boxes of the tags; "words": no boxes, the tracker looks for the
        tags itself; or ``package.module:function`` that takes a frame HWC and the tags and returns (x, y, width,
        height, score, words) in pixels.
      weights: folder or hub id of "grounding_dino".
      threshold: least score of its boxes.
      interval: seconds between the frames of a shot that are looked at.
      most_frames: of a shot that are looked at.
      least_seconds: shots that are shorter will not become clips and are not looked at.
      most_things: of a shot.
      least_area, most_area: of a box, as a share of the frame.
      same: overlap (intersection over union) from which boxes of neighbouring looks are one thing.
    """

    model: str = EMBEDDED
    weights: str = ""
    threshold: float = 0.3
    interval: float = 2.0
    most_frames: int = 8
    least_seconds: float = 6.0
    most_things: int = 3
    least_area: float = 0.01
    most_area: float = 0.95
    same: float = 0.1

    name: ClassVar[str] = "box"
    version: ClassVar[int] = 2

    @property
    def holds_model(self) -> bool:
        """See `vp_jax.curate.asking.ModelStage`."""
        return self.model not in (EMBEDDED, WORDS)

    @property
    def batches(self) -> bool:
        """Grounding DINO sees the frames of several clips together."""
        return self.model == DETECTOR

    def load(self) -> Any:
        """See `vp_jax.curate.asking.ModelStage`."""
        return load_plugin(self.model) if is_plugin(self.model) else detector_of(self.weights, self.threshold)

    def steps(self, clip: ClipRecord, place: StagePlace) -> StageSteps:
        """See `vp_jax.curate.asking.ModelStage`; a question is a `ShotLook`, its answer the boxes of each frame."""
        if self.model == WORDS:
            return [clip]
        self._check(clip)
        step = max(1, round(self.interval * clip.rate))
        found: list[tuple[Any, ...]] = []
        thing = 1
        for start, stop in shots_of(clip):
            if stop - start < self.least_seconds * clip.rate:
                continue
            numbers = list(range(start + min(step // 2, (stop - start) // 2), stop, step))[: self.most_frames]
            later = {number: min(number + _neighbour(clip), stop - 1) for number in numbers}
            frames = sampled(place.path(clip.video), [*numbers, *later.values()])
            if self.holds_model:
                seen = [frames[number] for number in numbers]
                answers = yield ShotLook(seen, list(clip.tags))
                looks = {
                    number: self._fitting(boxes, frame_HWC) for number, boxes, frame_HWC in zip(numbers, answers, seen)
                }
            else:
                looks = {number: self._proposed(frames, number, later[number]) for number in numbers}
            best = self._things(looks)[: self.most_things]
            for place_in_shot, (number, box, words) in enumerate(best):
                found.append((thing + place_in_shot, number, *box, words))
            thing += len(best)
        if not found:
            raise Dropped("nothing to mask: no thing moves or stands out")
        kept = [box for box in found if box[0] <= MOST_THINGS]
        rest = f", {len(found) - len(kept)} things left out after {MOST_THINGS}" if len(kept) < len(found) else ""
        return [clip.but(boxes=kept, models=clip.made_by(self.name, f"{self.model} {self.weights}".strip() + rest))]

    def _check(self, clip: ClipRecord) -> None:
        if self.model not in (EMBEDDED, DETECTOR) and not is_plugin(self.model):
            known = f"{EMBEDDED}, {DETECTOR}, {WORDS} or package.module:function"
            raise UserError(f"box.model {self.model!r}: expected {known}")
        if self.model == DETECTOR and not clip.tags:
            raise UserError(f"box.model {DETECTOR} looks for tags, and the clip has none: set tag.model")

    def answers(self, model: Any, questions: Sequence[ShotLook]) -> Sequence[Any]:
        """See `vp_jax.curate.asking.ModelStage`; pictures of one size go through a detector together."""
        if self.model != DETECTOR:
            return one_by_one(lambda look: [model(frame_HWC, look.tags) for frame_HWC in look.frames], questions)
        found: list[Any] = [None] * len(questions)
        for size in dict.fromkeys(look.frames[0].shape for look in questions):
            alike = [place for place, look in enumerate(questions) if look.frames[0].shape == size]
            pairs = [(frame_HWC, questions[place].tags) for place in alike for frame_HWC in questions[place].frames]
            boxes = iter(model.boxes_of([frame_HWC for frame_HWC, _ in pairs], [tags for _, tags in pairs]))
            for place in alike:
                found[place] = list(itertools.islice(boxes, len(questions[place].frames)))
        return found

    def _proposed(self, frames: dict[int, np.ndarray], number: int, next_number: int) -> Boxes:
        neighbour = frames[next_number] if next_number != number else None
        limits = {"least_area": self.least_area, "most_area": self.most_area, "most": self.most_things}
        return [(box, "") for box in propose(frames[number], neighbour, **limits)]  # type: ignore[arg-type]

    def _fitting(self, answers: Sequence[Sequence[Any]], frame_HWC: np.ndarray) -> Boxes:
        """Boxes of a model whose area is within the limits."""
        boxes = [
            (Proposal(x, y, width, height, float(box[4])), str(box[5]))
            for box in answers
            for x, y, width, height in [map(int, box[:4])]
        ]
        size = frame_HWC.shape[0] * frame_HWC.shape[1]
        return [
            (box, words) for box, words in boxes if self.least_area <= box.width * box.height / size <= self.most_area
        ]

    def _things(self, looks: dict[int, Boxes]) -> list[tuple[int, Proposal, str]]:
        """The best box of each thing with its frame, the most frequent and best things first."""
        things: list[list[tuple[int, Proposal, str]]] = []
        for number, boxes in looks.items():
            free = list(things)
            for box, words in boxes:
                near = max(free, key=lambda thing: overlap_of(thing[-1][1], box), default=None)
                if near is not None and overlap_of(near[-1][1], box) >= self.same:
                    near.append((number, box, words))
                    free.remove(near)
                else:
                    things.append([(number, box, words)])
        things.sort(key=lambda seen: -sum(box.score for _, box, _ in seen))
        return [max(seen, key=_score) for seen in things]


def _neighbour(clip: ClipRecord) -> int:
    """Frames between the two that motion is seen in: an eighth of a second."""
    return max(1, round(clip.rate / 8))


def _score(seen: Sequence[Any]) -> float:
    return float(seen[1].score)
