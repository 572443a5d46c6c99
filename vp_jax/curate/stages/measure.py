"""Measure: the numbers of a clip that selection judges by, apart from it, so that new limits need no decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vp_jax.curate.frames import sampled
from vp_jax.curate.measures import clip_measures, measured_picture
from vp_jax.curate.plugins import load_plugin
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.media.pictures import evenly


@dataclass(frozen=True)
class MeasureClips:
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

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        numbers = evenly(clip.frames - 1, self.key_frames)
        frames = sampled(place.path(clip.video), [*numbers, *(number + 1 for number in numbers)])
        pictures = {number: measured_picture(frame_HWC) for number, frame_HWC in frames.items()}
        pairs = [(pictures[number], pictures[number + 1]) for number in numbers]
        scores = dict(clip_measures([pictures[number] for number in numbers], pairs, float(1 / clip.rate)))
        for name, _, function in (part.partition("=") for part in self.plugins.split(",") if part):
            scores[name] = float(load_plugin(function)([frames[number] for number in numbers]))
        return [clip.but(scores=scores)]
