"""A film of any length and size with a mask that moves, made frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.media.video_writer import write_video


class Film(NamedTuple):
    """The two files."""

    video: Path
    mask: Path


def make_film(folder: Path, frames: int, height: int, width: int) -> Film:
    """Write a textured picture that pans (.mp4), and a disc that crosses it (.mkv), unless they are there."""
    made = Film(folder / f"film_{width}x{height}_{frames}.mp4", folder / f"mask_{width}x{height}_{frames}.mkv")
    folder.mkdir(parents=True, exist_ok=True)
    if not made.video.exists():
        write_video(made.video, _frames(frames, height, width), Fraction(30))
    if not made.mask.exists():
        write_video(made.mask, _masks(frames, height, width), Fraction(30))
    return made


def _frames(frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    noise_HWC = np.random.default_rng(0).integers(0, 24, (height, width, 3))
    y, x = np.ogrid[:height, :width]
    ramp_HW = 110 + 60 * np.sin(x * 12 / width) + 40 * np.cos(y * 9 / height)
    picture_HWC = (ramp_HW[..., None] + noise_HWC).clip(0, 255).astype(np.uint8)
    for number in range(frames):
        yield np.roll(picture_HWC, 2 * number, axis=1)


def _masks(frames: int, height: int, width: int) -> Iterator[np.ndarray]:
    y, x = np.ogrid[:height, :width]
    for number in range(frames):
        centre = width * (0.2 + 0.6 * number / max(1, frames - 1))
        disc_HW = (x - centre) ** 2 + (y - height / 2) ** 2 < (height / 6) ** 2
        yield np.repeat(disc_HW[..., None].astype(np.uint8) * 255, 3, axis=2)
