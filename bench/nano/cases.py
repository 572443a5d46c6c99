"""Held-out clips of the drawn world: inputs of a model, and the exact truth.

short     one window, one masked thing, the prompt describes the truth long      five windows or more edits
`OPERATIONS` on held-out scenes: the truth is the drawn edited scene; the hole covers the thing before and after
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vp_jax.vpbench.clips import BenchInputs
from vp_jax.vpbench.drawn import EditedScene, FillScene, drawn_clips
from vp_jax.world.classify import Seen
from vp_jax.world.looks import DEFAULT_LOOK
from vp_jax.world.synthetic import HELD_OUT, OPERATIONS

__all__ = ["OPERATIONS", "Case", "edits", "inpainting"]

WINDOW, HEIGHT, WIDTH = 17, 64, 96
LONG = 65
"""Five windows of 17 frames that share 5."""


class Asked(NamedTuple):
    """What an edit asks for: that a thing is there afterwards, or that it is gone."""

    thing: Seen
    there: bool


@dataclass(frozen=True)
class Case:
    """One clip.

    Attributes:
      name: name of the clip.
      source_FHWC: uint8 pixels of the input.
      truth_FHWC: uint8 pixels of the truth, equal to the source outside the hole.
      holes_FHW: bool, True in the hole.
      prompt: caption of the truth.
      asked: of an edit.
    """

    name: str
    source_FHWC: np.ndarray
    truth_FHWC: np.ndarray
    holes_FHW: np.ndarray
    prompt: str
    asked: Asked | None = None

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that depend on everything in the case."""
        value = zlib.crc32(self.prompt.encode())
        for array in (self.source_FHWC, self.truth_FHWC, self.holes_FHW):
            value = zlib.crc32(np.ascontiguousarray(array), value)
        return f"{value:08x}"


def inpainting(count: int, frames: int = WINDOW) -> Iterator[Case]:
    """Held-out clips in the order of their seeds."""
    for seed in range(HELD_OUT, HELD_OUT + count):
        scene = FillScene(seed, frames, (HEIGHT, WIDTH), DEFAULT_LOOK)
        yield _case(scene.clip.id, scene(), scene.clip.caption)


def edits(operation: str, count: int) -> Iterator[Case]:
    """One ``operation`` of `OPERATIONS` on each of ``count`` held-out scenes that allow it."""
    for clip in drawn_clips(count, groups=(operation,), size=(HEIGHT, WIDTH), frames=WINDOW):
        assert isinstance(clip.source, EditedScene)
        yield _case(f"{operation}-{clip.facts['seed']}", clip.open(), clip.prompt, _asked(clip.source))


def _asked(edited: EditedScene) -> Asked:
    before, edit, _ = edited.scenes()
    there = edit.operation != "remove"
    thing = (edit.scene if there else before).things[edit.thing]
    return Asked(Seen(thing.colour, thing.shape), there)


def _case(name: str, inputs: BenchInputs, prompt: str, asked: Asked | None = None) -> Case:
    arrays = inputs.frames_FHWC, inputs.truth_FHWC, inputs.holes_FHW
    assert all(isinstance(array, np.ndarray) for array in arrays)
    return Case(name, *arrays, prompt, asked)  # type: ignore[arg-type]
