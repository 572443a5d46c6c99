"""Mask filter: things whose masks cover too little or too much, jump, tremble or get lost (paper section 3.1).

The paper states two rules: the area changes by less than 20 % from frame to frame, and masks cover 30 to 70 % of the
frame. It does not state whether a frame or the mean must pass; here the mean must, and ``worst_change`` limits frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from vp_jax.curate.record import ClipRecord, Dropped, StagePlace


@dataclass(frozen=True)
class FilterMasks:
    """The stage.

    Attributes:
      least_area, most_area: share of the frame, mean over the frames of the shot.
      most_change: of the area from one frame to the next, mean.
      worst_change: the same for the worst pair of frames; 1 allows any.
      most_jitter: mean second difference of the centre, in diagonals of the frame.
      most_lost: share of the shot's frames without the thing.
      least_confidence: of the tracker, mean.
    """

    least_area: float = 0.3
    most_area: float = 0.7
    most_change: float = 0.2
    worst_change: float = 1.0
    most_jitter: float = 0.02
    most_lost: float = 0.2
    least_confidence: float = 0.0

    name: ClassVar[str] = "mask_filter"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        faults = {thing: list(self.faults(values)) for thing, values in clip.things.items()}
        things = {thing: values for thing, values in clip.things.items() if not faults[thing]}
        if not things:
            named = "; ".join(f"thing {thing} {', '.join(listed)}" for thing, listed in faults.items())
            raise Dropped(f"no mask passes: {named or 'nothing was tracked'}")
        return [clip.but(things=things)]

    def faults(self, values: Mapping[str, float]) -> Iterator[str]:
        """Rules that a thing breaks, each with its value and its limit."""
        area = values["area"]
        if not self.least_area <= area <= self.most_area:
            yield f"covers {area:.1%} ({self.least_area:.0%} to {self.most_area:.0%})"
        for name, limit, words in (
            ("change", self.most_change, "changes its area by"),
            ("worst_change", self.worst_change, "changes its area at once by"),
            ("lost", self.most_lost, "is lost in"),
        ):
            if values[name] > limit:
                yield f"{words} {values[name]:.0%} (at most {limit:.0%})"
        if values["jitter"] > self.most_jitter:
            yield f"trembles by {values['jitter']:.3f} (at most {self.most_jitter:g})"
        if values["confidence"] < self.least_confidence:
            yield f"has a confidence of {values['confidence']:.2f} (at least {self.least_confidence:g})"
