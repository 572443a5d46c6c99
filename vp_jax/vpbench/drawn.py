"""The drawn-world benchmark: held-out scenes whose truth is drawn too. It needs no files.

group       hole                               truth
fill        a thing, grown by 2 pixels         the scene; the prompt describes it
remove      a thing with its shadow            the scene drawn without it
change ...  a thing before and after an edit   the edited scene (change, shape, swap, add)
long        as fill, five windows or more      the scene
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vp_jax.errors import UserError
from vp_jax.jobs import packaged
from vp_jax.media.masks import dilate
from vp_jax.vpbench.clips import EDIT_TASK, FILL_TASK, REMOVE_TASK, BenchClip, BenchInputs
from vp_jax.world.looks import DEFAULT_LOOK, check_look
from vp_jax.world.synthetic import (
    FPS,
    HELD_OUT,
    OPERATIONS,
    Edit,
    Scene,
    WorldClip,
    edit,
    edit_masks,
    make_scene,
    masked_thing,
    possible,
    render,
    thing_caption,
)

SHORT_FRAMES, LONG_FRAMES = 17, 65
"""One window of the packaged model, and five that share 5 frames."""
DRAWN_SIZE = (64, 96)
EDIT_SEEDS = HELD_OUT + 100_000
"""First seed of scenes to edit; each operation has 10,000 of its own."""
DRAWN_GROUPS = ("fill", *OPERATIONS, "long")


@dataclass(frozen=True)
class FillScene:
    """Opens a held-out scene with one thing to fill in."""

    seed: int
    frames: int
    size: tuple[int, int]
    look: str

    @property
    def clip(self) -> WorldClip:
        """The clip of the drawn world."""
        return WorldClip(self.seed, self.frames, *self.size, look=self.look)

    def __call__(self) -> BenchInputs:
        """Draw the scene."""
        frames_FHWC, masks_FHW = self.clip.read(np.arange(self.frames))
        holes_FHW = dilate(masks_FHW > 0, packaged.GROW)
        return BenchInputs(frames_FHWC, holes_FHW, frames_FHWC, Fraction(FPS), self.size)


@dataclass(frozen=True)
class EditedScene:
    """Opens a held-out scene with an edit whose result is known."""

    operation: str
    seed: int
    frames: int
    size: tuple[int, int]
    look: str

    def __call__(self) -> BenchInputs:
        """Draw the scene before and after."""
        scene, after, _ = self.scenes()
        times_F = np.arange(self.frames)
        before_drawn, after_drawn = (render(drawn, times_F, *self.size) for drawn in (scene, after.scene))
        holes_FHW = dilate(edit_masks(before_drawn, after_drawn, after) > 0, packaged.GROW)
        return BenchInputs(before_drawn.frames_FHWC, holes_FHW, after_drawn.frames_FHWC, Fraction(FPS), self.size)

    def scenes(self) -> tuple[Scene, Edit, int]:
        """The scene, the edit, and the number of the thing."""
        scene = make_scene(self.seed, self.look)
        thing = masked_thing(scene, self.seed + 1, SHORT_FRAMES)
        return scene, edit(scene, self.operation, thing, self.seed + 1), thing

    @property
    def allowed(self) -> bool:
        """The scene has room for the edit."""
        return self.operation in possible(make_scene(self.seed, self.look))


def drawn_clips(
    count: int,
    *,
    groups: tuple[str, ...] = DRAWN_GROUPS,
    size: tuple[int, int] = DRAWN_SIZE,
    frames: int = SHORT_FRAMES,
    long_frames: int = LONG_FRAMES,
    look: str = DEFAULT_LOOK,
) -> list[BenchClip]:
    """Clips of the drawn world that were never used for training.

    Args:
      count: clips of each group.
      groups: among `DRAWN_GROUPS`.
      size: height and width, multiples of 16.
      frames: of a clip, but for the group "long".
      long_frames: of its clips.
      look: of the world, see `vp_jax.world.looks`.

    Raises:
      UserError: an unknown group or look, or no clips.
    """
    check_look(look)
    unknown = [group for group in groups if group not in DRAWN_GROUPS]
    if unknown or not groups:
        raise UserError(f"groups {', '.join(unknown) or 'none'}: expected among {', '.join(DRAWN_GROUPS)}")
    if count < 1:
        raise UserError(f"clips {count}: expected 1 or more of each group")
    out: list[BenchClip] = []
    for group in groups:
        if group in OPERATIONS:
            out += _edits(group, count, frames, size, look)
        else:
            length = long_frames if group == "long" else frames
            out += [_fill(group, HELD_OUT + number, length, size, look) for number in range(count)]
    return out


def _fill(group: str, seed: int, frames: int, size: tuple[int, int], look: str) -> BenchClip:
    source = FillScene(seed, frames, size, look)
    clip = source.clip
    name = f"{group}-{seed - HELD_OUT:03d}"
    target = thing_caption(clip.scene, clip.thing)
    return BenchClip(name, source, clip.caption, target, group, FILL_TASK, _facts(source))


def _edits(operation: str, count: int, frames: int, size: tuple[int, int], look: str) -> list[BenchClip]:
    return [clip for _, clip in zip(range(count), _all_edits(operation, frames, size, look))]


def _all_edits(operation: str, frames: int, size: tuple[int, int], look: str) -> Iterator[BenchClip]:
    first = EDIT_SEEDS + 10_000 * OPERATIONS.index(operation)
    task = REMOVE_TASK if operation == "remove" else EDIT_TASK
    for seed in range(first, first + 10_000):
        source = EditedScene(operation, seed, frames, size, look)
        if source.allowed:
            _, after, _ = source.scenes()
            target = "" if operation == "remove" else thing_caption(after.scene, after.thing)
            name = f"{operation}-{seed - first:03d}"
            yield BenchClip(name, source, after.prompt, target, operation, task, _facts(source))


def _facts(source: FillScene | EditedScene) -> dict[str, object]:
    return {name: getattr(source, name) for name in source.__dataclass_fields__}
