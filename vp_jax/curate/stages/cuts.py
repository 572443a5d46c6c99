"""Cuts: first frames of shots, found before annotation, since a track that runs across a cut is lost.

The paper splits with PySceneDetect and does not name the detector; this is its AdaptiveDetector, fed by our own reader,
so that frame numbers are those of every other stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from vp_jax.curate.frames import frames_of
from vp_jax.curate.record import ClipRecord, StagePlace


@dataclass(frozen=True)
class FindCuts:
    """The stage.

    Attributes:
      threshold: ratio of a frame's change to that of its neighbours, from which it is a cut.
      least_content: change in HSV, in [0, 255], that a cut has at least.
      window: frames before and after, with which a frame is compared.
      least_seconds: of a shot; cuts that follow sooner are not found.
    """

    threshold: float = 3.0
    least_content: float = 15.0
    window: int = 2
    least_seconds: float = 0.6

    name: ClassVar[str] = "cuts"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        fps = float(clip.rate)
        detector = AdaptiveDetector(
            adaptive_threshold=self.threshold,
            min_content_val=self.least_content,
            window_width=self.window,
            min_scene_len=max(1, round(self.least_seconds * fps)),
        )
        found = []
        last = FrameTimecode(0, fps)
        for number, frame_HWC in frames_of(place.path(clip.video)):
            last = FrameTimecode(number, fps)
            found += detector.process_frame(last, np.ascontiguousarray(frame_HWC[:, :, ::-1]))
        found += detector.post_process(last)
        cuts = sorted({cut.frame_num for cut in found} - {0})
        return [clip.but(cuts=cuts, models=clip.made_by(self.name, "PySceneDetect AdaptiveDetector"))]
