"""A procedural video world as a data source: endless, seeded, with exact masks, exact edits and captions. No files.

    world_scene    what a scene is, from a seed; captions        world_render    pictures and masks
    world_shapes   signed distances of the shapes                world_edit      edits with their exact results
    world_sheet    a picture to look at

Clip k is the scene of seed ``first + k``. Most clips mask a thing that is in the picture and in the caption. In the
others the masked thing was taken out of both: what "remove" asks of a model is then part of what it learns.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass

import numpy as np

from vp_jax.data.records import ClipInfo
from vp_jax.errors import UserError
from vp_jax.world.edit import OPERATIONS, Edit, edit, edit_masks, possible
from vp_jax.world.render import Rendered, render
from vp_jax.world.scene import VOCABULARY, Scene, Thing, caption, make_scene, overlap, thing_caption

__all__ = [
    "HELD_OUT",
    "OPERATIONS",
    "VOCABULARY",
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
HELD_OUT = 10_000_000  # no seed from here on is trained on


def masked_thing(scene: Scene, seed: int, frames: int = 34) -> int:
    """The number of a thing that shows at least two thirds of itself in ``frames`` frames on average."""
    fronts = [
        sum(overlap(front, thing, frames) for front in scene.things[index + 1 :])
        for index, thing in enumerate(scene.things)
    ]
    clear = [index for index, hidden in enumerate(fronts) if hidden <= 1 / 3]
    return clear[int(np.random.default_rng([7003, seed]).integers(len(clear)))]


@dataclass(frozen=True)
class WorldClip:
    """The clip of one seed; ``absent`` is how often the masked thing is taken out, 0 to 1."""

    seed: int
    frames: int
    height: int
    width: int
    absent: float = 0.0

    @property
    def id(self) -> str:
        return f"world-{self.seed}"

    @property
    def origin(self) -> str:
        return "synthetic"

    @property
    def caption(self) -> str:
        return caption(self.shown)

    @functools.cached_property
    def scene(self) -> Scene:
        """The scene with the masked thing in it."""
        return make_scene(self.seed)

    @functools.cached_property
    def thing(self) -> int:
        """The number of the masked thing in `scene`."""
        return masked_thing(self.scene, self.seed, self.frames)

    @functools.cached_property
    def shown(self) -> Scene:
        """The scene that the frames and the caption show."""
        gone = np.random.default_rng([7004, self.seed]).random() < self.absent
        return edit(self.scene, "remove", self.thing, self.seed).scene if gone else self.scene

    def open(self) -> ClipInfo:
        return ClipInfo(self.frames, FPS)

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = render(self.scene, indices_F, self.height, self.width)
        masks_FHW = drawn.mask(self.thing)
        if self.shown is not self.scene:
            drawn = render(self.shown, indices_F, self.height, self.width)
        return drawn.frames_FHWC, masks_FHW


@dataclass(frozen=True)
class World:
    """A source of ``count`` clips: the seeds from ``first`` on, all held out or none.

    ``absent`` is how often the masked thing is taken out of the picture and the caption.

    Raises:
      UserError: seeds on both sides of `HELD_OUT`.
    """

    count: int
    frames: int
    height: int
    width: int
    first: int = 0
    absent: float = 0.0

    def __post_init__(self) -> None:
        if self.first < HELD_OUT < self.first + self.count:
            raise UserError(
                f"seeds {self.first} to {self.first + self.count - 1} are partly held out, which begins at "
                f"{HELD_OUT}: choose fewer clips or another first one"
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> WorldClip:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return WorldClip(self.first + index, self.frames, self.height, self.width, self.absent)


@dataclass(frozen=True)
class WordIds:
    """A tokenizer without a file: the same word always has the same id, 0 fills up to ``length``."""

    length: int

    def __call__(self, caption: str) -> np.ndarray:
        ids = [1 + zlib.crc32(word.encode()) % 32000 for word in caption.split()][: self.length]
        return np.array(ids + [0] * (self.length - len(ids)), np.int32)
