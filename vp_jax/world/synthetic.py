"""The drawn world as a data source: endless, seeded, with exact masks, edits and captions, and without files.

Clip k is the scene of seed ``first + k``. Most clips mask a thing that is in the picture and in the caption. In the
others the masked thing is absent from both, so that a model also learns to remove things.

A mask is that of the thing alone, as a tracker gives it, or that of the thing and its shadow, as a removal needs it.
The choice does not depend on whether the thing is there, so the outline of a mask does not give that away. A shadow
that a mask leaves visible does, and so does the light on the rest of the picture for a shadow that must be filled in.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass

import numpy as np

from vp_jax.data.records import ClipInfo
from vp_jax.errors import UserError
from vp_jax.world.edit import OPERATIONS, Edit, edit, edit_masks, possible
from vp_jax.world.looks import DEFAULT_LOOK, check_look, make_scene, render
from vp_jax.world.rendered import Rendered
from vp_jax.world.scene import Scene, Thing, caption, overlap, thing_caption

__all__ = [
    "HELD_OUT",
    "OPERATIONS",
    "Edit",
    "Rendered",
    "Scene",
    "Thing",
    "WordIds",
    "World",
    "WorldClip",
    "caption",
    "edit",
    "edit_masks",
    "make_scene",
    "masked_thing",
    "possible",
    "render",
    "thing_caption",
]

FPS = 8.0
HELD_OUT = 10_000_000
"""First of the seeds that are never used for training."""


def masked_thing(scene: Scene, seed: int, frames: int = 34) -> int:
    """Number of a thing of which at least two thirds are visible on average over ``frames`` frames."""
    fronts = [
        sum(overlap(front, thing, frames) for front in scene.things[index + 1 :])
        for index, thing in enumerate(scene.things)
    ]
    clear = [index for index, hidden in enumerate(fronts) if hidden <= 1 / 3]
    return clear[int(np.random.default_rng([7003, seed]).integers(len(clear)))]


@dataclass(frozen=True)
class WorldClip:
    """The clip of one seed.

    Attributes:
      seed: seed of the scene.
      frames: frames of the clip.
      height: rows of a frame.
      width: columns of a frame.
      absent: probability that the masked thing is absent.
      look: name of the look, one of `vp_jax.world.looks.LOOKS`.
    """

    seed: int
    frames: int
    height: int
    width: int
    absent: float = 0.0
    look: str = DEFAULT_LOOK

    @property
    def id(self) -> str:
        """Name of the clip."""
        return f"world-{self.seed}"

    @property
    def origin(self) -> str:
        """Where the clip comes from."""
        return "synthetic"

    @property
    def caption(self) -> str:
        """Caption of what the frames show."""
        return caption(self.visible)

    @functools.cached_property
    def scene(self) -> Scene:
        """The scene, with the masked thing."""
        return make_scene(self.seed, self.look)

    @functools.cached_property
    def thing(self) -> int:
        """Number of the masked thing in `scene`."""
        return masked_thing(self.scene, self.seed, self.frames)

    @functools.cached_property
    def visible(self) -> Scene:
        """The scene of the frames and the caption, with or without the masked thing."""
        absent = np.random.default_rng([7004, self.seed]).random() < self.absent
        return edit(self.scene, "remove", self.thing, self.seed).scene if absent else self.scene

    @functools.cached_property
    def masks_shadow(self) -> bool:
        """Whether the mask covers the thing's shadow too: in half of the clips, present or absent."""
        return bool(np.random.default_rng([7005, self.seed]).random() < 0.5)

    def open(self) -> ClipInfo:
        """Length and frame rate."""
        return ClipInfo(self.frames, FPS)

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames FHWC uint8 and masks FHW uint8 {0, 1} of these frame numbers."""
        drawn = render(self.scene, indices_F, self.height, self.width)
        masks_FHW = drawn.reach(self.thing) if self.masks_shadow else drawn.mask(self.thing)
        if self.visible is not self.scene:
            drawn = render(self.visible, indices_F, self.height, self.width)
        return drawn.frames_FHWC, masks_FHW


@dataclass(frozen=True)
class World:
    """A source of ``count`` clips, either all held out or none.

    Attributes:
      count: number of clips.
      frames: frames of a clip.
      height: rows of a frame.
      width: columns of a frame.
      first: seed of the first clip.
      absent: probability that the masked thing is absent from picture and caption.
      look: name of the look, one of `vp_jax.world.looks.LOOKS`.

    Raises:
      UserError: an unknown look, or the seeds are on both sides of `HELD_OUT`.
    """

    count: int
    frames: int
    height: int
    width: int
    first: int = 0
    absent: float = 0.0
    look: str = DEFAULT_LOOK

    def __post_init__(self) -> None:
        check_look(self.look)
        if self.first < HELD_OUT < self.first + self.count:
            raise UserError(
                f"seeds {self.first} to {self.first + self.count - 1} are partly held out: expected all below "
                f"{HELD_OUT} or none; choose fewer clips or another first seed"
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> WorldClip:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return WorldClip(self.first + index, self.frames, self.height, self.width, self.absent, self.look)


@dataclass(frozen=True)
class WordIds:
    """A tokenizer without a file: every word has a fixed id, and the rest of ``length`` is filled with 0."""

    length: int

    def __call__(self, caption: str) -> np.ndarray:
        """Token ids of a caption, int32 of ``length``."""
        ids = [1 + zlib.crc32(word.encode()) % 32000 for word in caption.split()][: self.length]
        return np.array(ids + [0] * (self.length - len(ids)), np.int32)
