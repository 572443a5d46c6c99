"""Collect: a source becomes a video that is there, complete, and worth annotating (paper section 3.1, collection).

The file is loaded if it has an address, its digest is taken, all of it is decoded, and what no later stage can mend is
left out: files that are damaged, short, still, or framed by black bars. Perceptual hashes of key frames are kept for
the comparison of all clips with one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from vp_jax import digests
from vp_jax.curate.fetch import FetchRules, fetch
from vp_jax.curate.frames import sampled
from vp_jax.curate.measures import black_bars, difference_hash, largest_change, measured_picture
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.sources import ADDRESSES
from vp_jax.errors import UserError
from vp_jax.media.pictures import evenly
from vp_jax.media.video import image_files, probe


@dataclass(frozen=True)
class Collect:
    """The stage.

    Attributes:
      fetch: how addresses are read.
      least_seconds: shorter videos are dropped; the paper drops pieces under 6 s.
      least_rows: smaller pictures are dropped.
      least_change: mean difference in grey values [0, 255] over time, below which a video is a still picture.
      most_bars: share of rows and columns that black bars may take.
      key_frames: that are looked at.
      hashed: key frames with a perceptual hash.
    """

    fetch: FetchRules = field(default_factory=FetchRules)
    least_seconds: float = 6.0
    least_rows: int = 240
    least_change: float = 0.5
    most_bars: float = 0.04
    key_frames: int = 9
    hashed: int = 3

    name: ClassVar[str] = "collect"
    version: ClassVar[int] = 1

    def process(self, clip: ClipRecord, place: StagePlace) -> list[ClipRecord]:
        """See `vp_jax.curate.record.CurationStage`."""
        video = self._file(clip, place)
        sha256 = _digest_of(place.path(video))
        if clip.sha256 and clip.sha256 != sha256:
            raise UserError(f"SHA-256 is {sha256}, expected {clip.sha256}: the file changed or is damaged")
        info = probe(place.path(video))
        if not info.fps:
            raise UserError("the video states no frame rate")
        if info.still or info.frames == 1:
            raise Dropped("still picture: one frame")
        if info.height < self.least_rows:
            raise Dropped(f"too small: {info.width}x{info.height}, expected {self.least_rows} rows or more")
        seconds = float(info.frames / info.fps)
        if seconds < self.least_seconds:
            raise Dropped(f"too short: {seconds:.1f} s, expected {self.least_seconds:g} s or more")
        numbers = evenly(info.frames, self.key_frames)
        pictures = {number: measured_picture(frame) for number, frame in sampled(place.path(video), numbers).items()}
        if len(pictures) < len(numbers):
            raise UserError(f"damaged: {info.frames} frames are promised, the last key frames are missing")
        self._check([*pictures.values()])
        hashed = [numbers[index] for index in evenly(len(numbers), self.hashed + 2)[1:-1]]
        return [
            clip.but(
                video=video,
                sha256=sha256,
                frames=info.frames,
                height=info.height,
                width=info.width,
                fps=str(info.fps),
                stop=info.frames,
                hashes=[difference_hash(pictures[number]) for number in hashed],
            )
        ]

    def _check(self, pictures: Sequence[np.ndarray]) -> None:
        if (change := largest_change(pictures)) < self.least_change:
            raise Dropped(f"still picture: changes by {change:.2f} grey values, expected {self.least_change:g} or more")
        if (bars := black_bars(pictures)) > self.most_bars:
            raise Dropped(f"black bars: {bars:.0%} of the picture, expected {self.most_bars:.0%} or less")

    def _file(self, clip: ClipRecord, place: StagePlace) -> str:
        """The file, loaded if it has an address; what was loaded is kept when the process is killed."""
        if not clip.video.startswith(ADDRESSES):
            return clip.video
        name = hashlib.sha256(clip.video.encode()).hexdigest()
        part = place.root / "work" / "loading" / name
        fetch(clip.video, part, self.fetch)
        file = "video" + (Path(clip.video.partition("?")[0]).suffix.lower() or ".mp4")
        part.replace(place.folder / file)
        return place.called(file)


def _digest_of(video: Path) -> str:
    """SHA-256 of a file, or of the digests of the images of a folder."""
    if not video.is_dir():
        return digests.of_file(video)
    return digests.of_json([digests.of_file(file) for file in image_files(video)])
