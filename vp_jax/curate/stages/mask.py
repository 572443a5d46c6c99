"""Mask: every proposed thing is tracked through its shot (paper: SAM 2, prompted by boxes).

Tracking is that of `vp_jax.segment`; embedded are GrabCut and optical flow. Masks of a video are one lossless video
of labels, 0 for the background, so tracks never overlap; statistics of each thing are kept for the filter.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vp_jax.curate.frames import frames_of
from vp_jax.curate.labels_video import write_labels
from vp_jax.curate.plugins import is_plugin, load_plugin
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.curate.shots import FrameSpan, shots_of
from vp_jax.curate.statistics import ThingStatistics


@dataclass(frozen=True)
class TrackMasks:
    """The stage.

    Attributes:
      backend: of `vp_jax.segment.tracking.track`, or ``package.module:function`` that is called as that is.
    """

    backend: str = "grabcut"

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        statistics: dict[int, ThingStatistics] = {}
        labels = (labels_HW for shot in shots_of(clip) for labels_HW in self._shot(clip, place, shot, statistics))
        write_labels(place.folder / "masks.mkv", labels, clip.rate)
        things = {str(thing): found.values() for thing, found in sorted(statistics.items())}
        models = clip.made_by(self.name, self.backend)
        return [clip.but(masks=place.called("masks.mkv"), things=things, models=models)]

    def _shot(
        self, clip: ClipRecord, place: StagePlace, shot: FrameSpan, statistics: dict[int, ThingStatistics]
    ) -> Iterator[np.ndarray]:
        """Labels of the frames of a shot; what is measured of its things goes into ``statistics``."""
        start, stop = shot
        prompts = _prompts(clip, shot, first=len(statistics) + 1)
        if not prompts:
            for _ in range(start, stop):
                yield np.zeros((clip.height, clip.width), np.uint8)
            return
        things = sorted({prompt.thing for prompt in prompts})
        statistics |= {thing: ThingStatistics(start, stop) for thing in things}
        frames = functools.partial(_frames, place.path(clip.video), start, stop)
        for tracked in self._track(frames, prompts):
            labels_HW = np.asarray(tracked.labels_HW, np.uint8)
            for thing in things:
                found = statistics[thing]
                lost = thing in tracked.lost
                found.add(tracked.frame, labels_HW == thing, float(tracked.confidence.get(thing, 0.0)), lost)
            yield labels_HW

    def _track(self, frames: Any, prompts: list[Any]) -> Iterator[Any]:
        if is_plugin(self.backend):
            yield from load_plugin(self.backend)(frames, prompts)
        else:
            tracking = importlib.import_module("vp_jax.segment.tracking")
            yield from tracking.track(frames, prompts, backend=self.backend)


def _prompts(clip: ClipRecord, shot: FrameSpan, first: int) -> list[Any]:
    """The boxes of a shot, or where a clip has none its tags, as things from number ``first`` on; labels end at 255."""
    from vp_jax.segment.prompts import Box, Words

    start, stop = shot
    boxes = [box for box in clip.boxes if start <= box[1] < stop]
    if clip.boxes:
        sides = [tuple(int(side) for side in box[2:6]) for box in boxes]
        return [Box(*side, frame=int(box[1]) - start, thing=int(box[0])) for side, box in zip(sides, boxes)]
    return [Words(tag, thing=first + number) for number, tag in enumerate(clip.tags) if first + number < 256]


def _frames(path: Any, start: int, stop: int) -> Iterator[np.ndarray]:
    for _, frame_HWC in frames_of(path, range(start, stop)):
        yield frame_HWC
