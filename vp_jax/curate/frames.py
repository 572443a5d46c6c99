"""Frames of a record's video, through the project's one reader."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np

from vp_jax.media.video import video_pictures


def frames_of(path: Path, wanted: Container[int] | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, frame uint8 RGB HWC) of a video, the requested ones or all. Raises `UserError`."""
    with contextlib.closing(video_pictures(path, wanted, threads=1)) as found:
        for _, number, picture in found:
            yield number, picture.rgb_HWC


def sampled(path: Path, numbers: Sequence[int]) -> dict[int, np.ndarray]:
    """Frames of these numbers, by number. Raises `UserError`."""
    return dict(frames_of(path, frozenset(numbers)))
