"""Frames of any pixel format, and pictures and masks to inpaint them with, drawn for tests of planes."""

from __future__ import annotations

import itertools
from typing import Any

import av
import numpy as np


def draw(pix_fmt: str, size: tuple[int, int], number: int) -> Any:
    """Waves over most of the codes of a format, another in each frame; noise in the last bits."""
    frame: Any = av.VideoFrame(size[1], size[0], pix_fmt)
    components = frame.format.components
    depth, generator = components[0].bits, np.random.default_rng(number)
    for index, plane in enumerate(frame.planes):
        wide = np.frombuffer(plane, np.uint8 if depth == 8 else ">u2" if pix_fmt.endswith("be") else "<u2")
        rows, columns = np.ogrid[: plane.height, : wide.size // plane.height]
        waves = np.sin((columns + 3 * number + 11 * index) / 9.0) * np.cos((rows + 5 * index) / 7.0)
        values = (0.5 + 0.28 * waves) * ((1 << depth) - 1) + generator.integers(-2, 3, waves.shape)
        stored = np.clip(values, 0, (1 << depth) - 1).astype(wide.dtype)
        wide.reshape(stored.shape)[:] = stored << 6 if pix_fmt.startswith("p010") else stored
    return frame


def generated(size: tuple[int, int]) -> np.ndarray:
    """Smooth SDR, no colour at the ends of the range."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    waves = [np.sin((rows + columns) / 25.0), np.cos(columns / 30.0) + 0 * rows, np.sin(rows / 27.0) + 0 * columns]
    return np.stack([128 + 70 * wave for wave in waves], axis=-1).astype(np.uint8)


def grown(mask_FHW: np.ndarray, pixels: int) -> np.ndarray:
    out = mask_FHW.copy()
    for dy, dx in itertools.product(range(-pixels, pixels + 1), repeat=2):
        moved = np.roll(mask_FHW, (dy, dx), (1, 2))
        if dy:
            moved[:, slice(0, dy) if dy > 0 else slice(dy, None)] = False
        if dx:
            moved[:, :, slice(0, dx) if dx > 0 else slice(dx, None)] = False
        out |= moved
    return out
