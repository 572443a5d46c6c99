"""Running a compiled program over the frames of a clip: blocks of one size, and the rest frame by frame.

Two shapes are compiled for a clip of any length, and no more than a block is on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 8
"""Frames that are computed at once."""


def blocks(frames: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices of ``size`` frames, then of one frame each."""
    complete = frames - frames % size
    yield from (slice(start, start + size) for start in range(0, complete, size))
    yield from (slice(frame, frame + 1) for frame in range(complete, frames))


def by_blocks(program: Callable[..., Any], *arrays: np.ndarray, size: int = BLOCK) -> Any:
    """Call ``program`` on blocks of the arrays' first axis.

    Returns:
      Its results as NumPy arrays, joined along their first axis; any tree of arrays.
    """
    parts = [jax.device_get(program(*(array[part] for array in arrays))) for part in blocks(len(arrays[0]), size)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def as_float(frames_FHWC: jax.Array) -> jax.Array:
    """uint8 or float pixels as float32 in [0, 1]."""
    if frames_FHWC.dtype == jnp.uint8:
        return frames_FHWC.astype(jnp.float32) / 255
    return frames_FHWC.astype(jnp.float32)


def difference(first_FHWC: jax.Array, second_FHWC: jax.Array) -> jax.Array:
    """First minus second, float32 in [-1, 1]; equal uint8 pixels differ by exactly 0."""
    if first_FHWC.dtype == second_FHWC.dtype == jnp.uint8:
        # levels first: XLA may fuse scaling and subtraction, which rounds only one of the two
        return (first_FHWC.astype(jnp.float32) - second_FHWC.astype(jnp.float32)) / 255
    return as_float(first_FHWC) - as_float(second_FHWC)
