"""Select: clips that are worth training on (paper: aesthetics, motion and safety; it states no limits).

Embedded are motion, sharpness, exposure, black bars and still pictures. Limits of other scores, which plug-ins
measured, are given by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.errors import UserError


@dataclass(frozen=True)
class SelectClips:
    """The stage.

    Attributes:
      least_change: mean difference in grey values [0, 255] from the first picture; still pictures have less.
      least_motion, most_motion: mean speed, in widths of the picture per second.
      least_sharpness: variance of the Laplacian.
      least_brightness, most_brightness: mean grey value.
      most_clipped: share of pixels that are nearly black or white.
      most_bars: share of rows and columns that black bars take.
      plugins: limits of further scores, ``NAME=LEAST:MOST`` with commas; one of both may be left out.
    """

    least_change: float = 0.5
    least_motion: float = 0.001
    most_motion: float = 2.0
    least_sharpness: float = 10.0
    least_brightness: float = 10.0
    most_brightness: float = 245.0
    most_clipped: float = 0.5
    most_bars: float = 0.04
    plugins: str = ""

    name: ClassVar[str] = "select"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        if faults := list(self.faults(clip)):
            raise Dropped("; ".join(faults))
        return [clip]

    def faults(self, clip: ClipRecord) -> Iterator[str]:
        """Limits that a clip is beyond, each with its value."""
        limits: list[tuple[str, str, float | None, float | None]] = [
            ("still picture: change", "change", self.least_change, None),
            ("motion", "motion", self.least_motion, self.most_motion),
            ("sharpness", "sharpness", self.least_sharpness, None),
            ("brightness", "brightness", self.least_brightness, self.most_brightness),
            ("clipped pixels", "clipped", None, self.most_clipped),
            ("black bars", "black_bars", None, self.most_bars),
        ]
        for words, name, least, most in [*limits, *self._further()]:
            if name not in clip.scores:
                raise UserError(f"select.plugins: no score {name}, clips have {', '.join(clip.scores)}")
            value = clip.scores[name]
            if least is not None and value < least:
                yield f"{words} {value:.4g}, expected {least:g} or more"
            elif most is not None and value > most:
                yield f"{words} {value:.4g}, expected {most:g} or less"

    def _further(self) -> Iterator[tuple[str, str, float | None, float | None]]:
        for part in filter(None, self.plugins.split(",")):
            name, _, limits = part.partition("=")
            least, _, most = limits.partition(":")
            try:
                yield name, name, float(least) if least else None, float(most) if most else None
            except ValueError as error:
                raise UserError(f"select.plugins {part!r}: expected NAME=LEAST:MOST") from error
