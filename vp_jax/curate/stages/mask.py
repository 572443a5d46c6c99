"""Mask: every proposed thing is tracked through its shot (paper: SAM 2, prompted by boxes).

Tracking is that of `vp_jax.segment`; embedded are GrabCut and optical flow. Masks of a video are one lossless video
of labels, 0 for the background, so tracks never overlap; statistics of each thing are kept for the filter.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from vp_jax.curate.asking import ModelStage, StageSteps
from vp_jax.curate.frames import frames_of
from vp_jax.curate.labels_video import write_labels
from vp_jax.curate.loaded import backend_of
from vp_jax.curate.plugins import is_plugin, load_plugin
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.curate.shots import FrameSpan, shots_of
from vp_jax.curate.statistics import ThingStatistics
from vp_jax.errors import UserError
from vp_jax.segment.prompts import MOST_THINGS, Box, Words
from vp_jax.segment.tracking import track

EMBEDDED = "grabcut"
Tracker = Callable[[Any, Any], Iterator[Any]]
"""Takes frames and prompts as `vp_jax.segment.tracking.track`, and gives what that gives."""


@dataclass(frozen=True)
class TrackMasks(ModelStage):
    """The stage.

    Attributes:
      backend: of `vp_jax.segment.tracking.track`, or ``package.module:function`` that is called as that is.
      weights: folder or hub id of the backend's model; "" for "grabcut", which has none.
      sam2: the same of SAM 2, for "grounding_dino".
      most_rows: larger videos are tracked at this height, and their labels stretched back, which leaves steps at the
        edges; 0: as they are.
    """

    backend: str = EMBEDDED
    weights: str = ""
    sam2: str = ""
    most_rows: int = 360

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 1

    @property
    def holds_model(self) -> bool:
        """See `vp_jax.curate.asking.ModelStage`."""
        return self.backend != EMBEDDED

    def load(self) -> Tracker:
        """See `vp_jax.curate.asking.ModelStage`."""
        if is_plugin(self.backend):
            return load_plugin(self.backend)
        return functools.partial(track, backend=backend_of(self.backend, self.weights, self.sam2))

    def answers(self, model: Tracker, questions: Sequence[None]) -> Sequence[Any]:
        """The tracker itself: it streams one video at a time."""
        return [model] * len(questions)

    def steps(self, clip: ClipRecord, place: StagePlace) -> StageSteps:
        """See `vp_jax.curate.asking.ModelStage`; the only question is that for the tracker."""
        tracker = (yield None) if self.holds_model else self.load()
        statistics: dict[int, ThingStatistics] = {}
        refused: list[str] = []
        shots = (self._shot(clip, place, shot, tracker, statistics, refused) for shot in shots_of(clip))
        write_labels(place.folder / "masks.mkv", itertools.chain.from_iterable(shots), clip.rate)
        if refused and len(refused) == len(statistics):
            raise UserError(f"no thing can be tracked: {refused[0]}")
        things = {str(thing): found.values() for thing, found in sorted(statistics.items())}
        models = clip.made_by(self.name, "; ".join([f"{self.backend} {self.weights}".strip(), *refused]))
        return [clip.but(masks=place.called("masks.mkv"), things=things, models=models)]

    def _shot(
        self,
        clip: ClipRecord,
        place: StagePlace,
        shot: FrameSpan,
        tracker: Tracker,
        statistics: dict[int, ThingStatistics],
        refused: list[str],
    ) -> Iterator[np.ndarray]:
        """Labels of the frames of a shot; what is measured of its things goes into ``statistics``."""
        start, stop = shot
        scale = self.most_rows / clip.height if 0 < self.most_rows < clip.height else 1.0
        prompts = _prompts(clip, shot, first=len(statistics) + 1, scale=scale)
        things = sorted({prompt.thing for prompt in prompts})
        statistics |= {thing: ThingStatistics(start, stop) for thing in things}
        frames = functools.partial(_frames, place.path(clip.video), start, stop, scale)
        done = 0
        for tracked in _started(tracker, frames, prompts, refused):
            done += 1
            labels_HW = np.asarray(tracked.labels_HW, np.uint8)
            for thing in things:
                lost = thing in tracked.lost or thing not in tracked.confidence
                confidence = float(tracked.confidence.get(thing, 0.0))
                statistics[thing].add(tracked.frame, labels_HW == thing, confidence, lost)
            yield _stretched(labels_HW, clip.height, clip.width)
        for _ in range(start + done, stop):
            yield np.zeros((clip.height, clip.width), np.uint8)


def _started(tracker: Tracker, frames: Any, prompts: list[Any], refused: list[str]) -> Iterator[Any]:
    """What the tracker makes of the prompts that it takes; others, which it refuses at once, go to ``refused``."""
    if not prompts:
        return iter(())
    tracks = iter(tracker(frames, prompts))
    try:
        return _begun(tracks)
    except UserError as error:
        if len(prompts) == 1:
            refused.append(f"thing {prompts[0].thing}: {error}")
            return iter(())
    taken = [prompt for prompt in prompts if _takes(tracker, frames, prompt, refused)]
    return iter(tracker(frames, taken)) if taken else iter(())


def _takes(tracker: Tracker, frames: Any, prompt: Any, refused: list[str]) -> bool:
    try:
        next(iter(tracker(frames, [prompt])), None)
    except UserError as error:
        refused.append(f"thing {prompt.thing}: {error}")
        return False
    return True


def _begun(tracks: Iterator[Any]) -> Iterator[Any]:
    """The same, with the first result made."""
    first = list(itertools.islice(tracks, 1))
    return itertools.chain(first, tracks)


def _prompts(clip: ClipRecord, shot: FrameSpan, first: int, scale: float) -> list[Any]:
    """The boxes of a shot, or where a clip has none its tags, as things from number ``first`` on; labels end at 255."""
    start, stop = shot
    boxes = [box for box in clip.boxes if start <= box[1] < stop]
    if clip.boxes:
        scaled = [[max(place // 2, int(side * scale)) for place, side in enumerate(box[2:6])] for box in boxes]
        return [
            Box(x, y, width, height, frame=int(box[1]) - start, thing=int(box[0]))
            for (x, y, width, height), box in zip(scaled, boxes)
        ]
    return [Words(tag, thing=first + number) for number, tag in enumerate(clip.tags) if first + number <= MOST_THINGS]


def _frames(path: Path, start: int, stop: int, scale: float) -> Iterator[np.ndarray]:
    for _, frame_HWC in frames_of(path, range(start, stop)):
        if scale == 1:
            yield frame_HWC
        else:
            yield np.asarray(cv2.resize(frame_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def _stretched(labels_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    if labels_HW.shape == (height, width):
        return labels_HW
    return np.asarray(cv2.resize(labels_HW, (width, height), interpolation=cv2.INTER_NEAREST))
