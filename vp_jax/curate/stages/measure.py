"""Measure: the numbers of a clip that selection judges by, apart from it, so that new limits need no decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vp_jax.curate.asking import ModelStage, StageSteps, one_by_one
from vp_jax.curate.frames import sampled
from vp_jax.curate.measures import clip_measures, measured_picture
from vp_jax.curate.plugins import load_plugin
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.media.pictures import evenly


@dataclass(frozen=True)
class MeasureClips(ModelStage):
    """The stage.

    Attributes:
      key_frames: that are measured; motion is that from each of them to the next frame.
      plugins: further scores, ``NAME=package.module:function`` with commas; a function takes frames HWC and returns a
        number (aesthetics, safety, text in the picture).
    """

    key_frames: int = 6
    plugins: str = ""

    name: ClassVar[str] = "measure"
    version: ClassVar[int] = 1

    @property
    def holds_model(self) -> bool:
        """See `vp_jax.curate.asking.ModelStage`."""
        return bool(self.plugins)

    def load(self) -> dict[str, Callable[..., Any]]:
        """The functions of plug-ins, by the name of their score."""
        named = (part.partition("=") for part in self.plugins.split(",") if part)
        return {name: load_plugin(function) for name, _, function in named}

    def steps(self, clip: ClipRecord, place: StagePlace) -> StageSteps:
        """See `vp_jax.curate.asking.ModelStage`; a question is a clip's key frames, its answer scores by name."""
        numbers = evenly(clip.frames - 1, self.key_frames)
        frames = sampled(place.path(clip.video), [*numbers, *(number + 1 for number in numbers)])
        pictures = {number: measured_picture(frame_HWC) for number, frame_HWC in frames.items()}
        pairs = [(pictures[number], pictures[number + 1]) for number in numbers]
        scores = dict(clip_measures([pictures[number] for number in numbers], pairs, float(1 / clip.rate)))
        if self.holds_model:
            scores |= yield [frames[number] for number in numbers]
        return [clip.but(scores=scores)]

    def answers(self, model: Any, questions: Sequence[Sequence[np.ndarray]]) -> Sequence[Any]:
        """See `vp_jax.curate.asking.ModelStage`."""
        return one_by_one(lambda frames: {name: float(function(frames)) for name, function in model.items()}, questions)
