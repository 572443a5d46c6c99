"""Held-out clips of the drawn world: inputs of a model, and the exact truth.

short     one window, one masked thing, the prompt describes the truth long      five windows or more edits
`OPERATIONS` on held-out scenes: the truth is the drawn edited scene; the hole covers the thing before and after
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vp_jax.jobs import packaged
from vp_jax.media.masks import dilate
from vp_jax.world.synthetic import (
    HELD_OUT,
    OPERATIONS,
    World,
    edit,
    edit_masks,
    make_scene,
    masked_thing,
    possible,
    render,
)

WINDOW, HEIGHT, WIDTH = 17, 64, 96
LONG = 65
"""Five windows of 17 frames that share 5."""
EDITS_FROM = HELD_OUT + 100_000


@dataclass(frozen=True)
class Case:
    """One clip.

    Attributes:
      name: name of the clip.
      source_FHWC: uint8 pixels of the input.
      truth_FHWC: uint8 pixels of the truth, equal to the source outside the hole.
      holes_FHW: bool, True in the hole.
      prompt: caption of the truth.
    """

    name: str
    source_FHWC: np.ndarray
    truth_FHWC: np.ndarray
    holes_FHW: np.ndarray
    prompt: str

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that depend on everything in the case."""
        value = zlib.crc32(self.prompt.encode())
        for array in (self.source_FHWC, self.truth_FHWC, self.holes_FHW):
            value = zlib.crc32(np.ascontiguousarray(array), value)
        return f"{value:08x}"


def inpainting(count: int, frames: int = WINDOW) -> Iterator[Case]:
    """Held-out clips in the order of their seeds."""
    source = World(count, frames, HEIGHT, WIDTH, first=HELD_OUT)
    for index in range(count):
        clip = source[index]
        frames_FHWC, masks_FHW = clip.read(np.arange(frames))
        yield Case(clip.id, frames_FHWC, frames_FHWC, dilate(masks_FHW > 0, packaged.GROW), clip.caption)


def edits(operation: str, count: int) -> Iterator[Case]:
    """One ``operation`` of `OPERATIONS` on each of ``count`` held-out scenes that allow it."""
    seed = EDITS_FROM + 10_000 * OPERATIONS.index(operation)
    found = 0
    while found < count:
        scene = make_scene(seed)
        seed += 1
        if operation not in possible(scene):
            continue
        after = edit(scene, operation, masked_thing(scene, seed, WINDOW), seed)
        before_drawn, after_drawn = (render(s, np.arange(WINDOW), HEIGHT, WIDTH) for s in (scene, after.scene))
        holes_FHW = dilate(edit_masks(before_drawn, after_drawn, after) > 0, packaged.GROW)
        found += 1
        yield Case(
            f"{operation}-{seed - 1}", before_drawn.frames_FHWC, after_drawn.frames_FHWC, holes_FHW, after.prompt
        )
