"""Label videos: one integer [0, 255] per pixel as grey of a lossless video, a thousandth of the arrays' size."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from vp_jax.curate.frames import frames_of
from vp_jax.media.video_writer import write_video


def write_labels(path: Path, labels: Iterable[np.ndarray], fps: Fraction) -> None:
    """Write labels uint8 HW, frame by frame, as an .mkv (FFV1). Raises `UserError`."""
    write_video(path, (np.repeat(labels_HW[:, :, None], 3, axis=2) for labels_HW in labels), fps)


def read_labels(path: Path, wanted: Container[int] | None = None) -> Iterator[np.ndarray]:
    """Yield the labels uint8 HW of these frames, or of all. Raises `UserError`."""
    for _, frame_HWC in frames_of(path, wanted):
        yield np.ascontiguousarray(frame_HWC[:, :, 0])
