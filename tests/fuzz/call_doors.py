"""Doors for programs that call the library: arrays and numbers as arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import vp_jax
from tests import clip_files
from tests.fuzz.doors import door, nothing
from tests.fuzz.mutations import PYTHON_NUMBERS, Rng, pick
from tests.tiny import tiny_clip, tiny_pipeline
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.result import Result

NUMBERS = ("steps", "guidance", "window", "overlap", "clip_weight", "seed", "feather", "height", "width")


@functools.cache
def _tiny() -> Any:
    return tiny_pipeline()


def _array(rng: Rng, good: np.ndarray) -> np.ndarray:
    """``good``, or an array of another shape, type or values."""
    odd: tuple[Callable[[], np.ndarray], ...] = (
        *[lambda: good] * 12,
        *(lambda: good[:0], lambda: good[0], lambda: good[:1], lambda: good[..., :1], lambda: good[:, :0]),
        *(lambda: good.astype(np.float32) * np.nan, lambda: good.astype(np.float16), lambda: good.astype(np.int64) * 3),
        *(lambda: good.astype(object), lambda: good.astype(complex), lambda: good.astype(str), lambda: np.zeros(())),
        *(lambda: np.broadcast_to(good[:1], (10**4, *good.shape[1:])), lambda: good.swapaxes(0, -1), lambda: ~good),
    )
    return odd[int(rng.integers(len(odd)))]()


@door("library calls", nothing, share=2)
def _calls(folder: Path, rng: Rng) -> Callable[[], object]:
    frames, holes, _ = tiny_clip()
    frames, holes = _array(rng, frames), _array(rng, holes)
    options = {name: pick(rng, PYTHON_NUMBERS) for name in NUMBERS if rng.random() < 0.1}
    fps, grow = (pick(rng, PYTHON_NUMBERS) if rng.random() < 0.1 else good for good in (8, 0))
    if rng.random() < 0.1:
        options["first_frame"] = pick(rng, ("", "/dev/zero", "a\0b", folder, np.zeros((3, 3)), np.nan, "original"))
    flags = {name: bool(rng.integers(2)) for name in ("invert", "resize") if rng.random() < 0.2}

    def call() -> None:
        request = _tiny().request(Video(frames, fps), Mask(holes, grow=grow, **flags), **options)
        if len(request.video) * request.size[0] * request.size[1] < 10**6:
            made = np.zeros((request.plan.output_frames, *request.size, 3), np.uint8)
            Result(request, made).frames_FHWC.sum()

    return call


def clip(folder: Path) -> None:
    """A video with labels."""
    clip_files.encode(folder / "a.mp4", clip_files.moving(8, 32, 48))
    labels = np.zeros((8, 32, 48), np.uint8)
    labels[:, 4:20, 4:20] = 3
    np.savez_compressed(folder / "labels.npz", labels)


@door("reading with numbers", clip)
def _reading(folder: Path, rng: Rng) -> Callable[[], object]:
    numbers = {name: pick(rng, PYTHON_NUMBERS) for name in ("start", "stop", "fps") if rng.random() < 0.2}
    of_mask = {name: pick(rng, PYTHON_NUMBERS) for name in ("mask_id", "grow") if rng.random() < 0.2}
    name = pick(rng, ("a.mp4", "a.mp4", "a.mp4", "", ".", "a\0b", "x" * 5000, "\udcff", *["a.mp4"] * 12))

    def call() -> None:
        video = vp_jax.read_video(folder / name, **numbers)
        mask = vp_jax.read_mask(folder / "labels.npz", like=video, **of_mask)
        mask.fitted(video)

    return call
