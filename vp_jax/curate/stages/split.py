"""Split: shots become clips of 10 s, rests under 6 s are dropped (paper section 3.1); videos and masks alike.

A clip keeps the things that were masked in its shot. Pieces without one are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vp_jax.curate.labels_video import read_labels, write_labels
from vp_jax.curate.pieces import cut_pieces
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.shots import FrameSpan, pieces_of, shots_of


@dataclass(frozen=True)
class SplitClips:
    """The stage.

    Attributes:
      piece_seconds: length of a clip.
      least_seconds: shorter rests are dropped.
    """

    piece_seconds: float = 10.0
    least_seconds: float = 6.0

    name: ClassVar[str] = "split"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        shots = shots_of(clip)
        spans = [span for shot in shots for span in pieces_of(shot, clip.rate, self.piece_seconds, self.least_seconds)]
        if not spans:
            longest = max(stop - start for start, stop in shots) / clip.rate
            raise Dropped(f"{len(shots)} shots, the longest has {float(longest):.1f} s of {self.least_seconds:g} s")
        spans = [span for span in spans if _things_in(clip, span)]
        if not spans:
            raise Dropped("no piece has a masked thing")
        files = [f"piece_{number}.mp4" for number in range(len(spans))]
        made = cut_pieces(place.path(clip.video), spans, [place.folder / file for file in files], clip.rate)
        records = []
        for number, (span, file, how) in enumerate(zip(spans, files, made)):
            masks = f"masks_{number}.mkv"
            write_labels(place.folder / masks, read_labels(place.path(clip.masks), range(*span)), clip.rate)
            records.append(self._piece(clip, place, span, file, masks, how))
        return records

    def _piece(
        self, clip: ClipRecord, place: StagePlace, span: FrameSpan, file: str, masks: str, how: str
    ) -> ClipRecord:
        start, stop = span
        boxes = [(box[0], box[1] - start, *box[2:]) for box in clip.boxes if start <= box[1] < stop]
        return clip.but(
            name=f"{clip.name}[{clip.start + start}:{clip.start + stop}]",
            video=place.called(file),
            frames=stop - start,
            start=clip.start + start,
            stop=clip.start + stop,
            hashes=(),
            cuts=(),
            boxes=boxes,
            masks=place.called(masks),
            things=_things_in(clip, span),
            models=clip.made_by(self.name, how),
        )


def _things_in(clip: ClipRecord, span: FrameSpan) -> dict[str, dict[str, float]]:
    """Things whose shot holds the span."""
    start, stop = span
    return {
        thing: dict(values)
        for thing, values in clip.things.items()
        if values["start"] <= start and stop <= values["stop"]
    }
