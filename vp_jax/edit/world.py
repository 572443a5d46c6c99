"""The packaged clip as something to edit: its things are known, so words find their masks without any model.

What an image model paints for a real video is drawn here: the first frame of the edited scene.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.edit.instruction import ADD, CHANGE, REMOVED
from vp_jax.edit.words import phrase_of
from vp_jax.errors import UserError
from vp_jax.jobs.packaged import CLIP, CLIP_SIZE
from vp_jax.media.video_writer import write_video
from vp_jax.reading import show
from vp_jax.world.edit import Edit, edit_masks
from vp_jax.world.looks import LOOKS, render
from vp_jax.world.scene import COLOURS, MAX_THINGS, PATTERNS, SHAPES, Scene, Thing, caption, fits, thing_caption
from vp_jax.world.synthetic import HELD_OUT, World, WorldClip


def packaged_clip() -> WorldClip:
    """The clip that comes with the package."""
    return World(CLIP + 1, *CLIP_SIZE, first=HELD_OUT)[CLIP]


def write_world_video(clip: WorldClip, path: Path) -> None:
    """Write the frames of a clip, lossless."""
    frames_FHWC, _ = clip.read(np.arange(clip.frames))
    write_video(path, frames_FHWC, clip.open().fps)


def named_thing(scene: Scene, target: str) -> int:
    """Number of the thing that words name: its noun, and adjectives where several things have it.

    Raises:
      UserError: no thing of the scene has these words, or several have them.
    """
    phrase = phrase_of(target)
    wanted = {word.lower() for word in (*phrase.adjectives, *phrase.noun.split())} - {"one", "thing", "shape", "object"}
    found = [n for n, thing in enumerate(scene.things) if wanted <= {thing.colour, thing.pattern, thing.shape}]
    if len(found) != 1 or not target.strip():
        shown = ", ".join(thing_caption(scene, number) for number in range(len(scene.things)))
        how = "no thing" if not found else "several things"
        raise UserError(f"target {show(target)!r}: {how} of that name in the clip, which shows {shown}")
    return found[0]


def world_masks(clip: WorldClip, target: str) -> np.ndarray:
    """Masks of the thing that words name, bool (F, H, W), with its shadow; see `named_thing`."""
    thing = named_thing(clip.scene, target)
    reached_FHW: np.ndarray = render(clip.scene, np.arange(clip.frames), clip.height, clip.width).reach(thing) > 0
    return reached_FHW


def drawn_edit(clip: WorldClip, operation: str, target: str, result: str) -> Edit:
    """The edited scene of an edit in the drawn world.

    Args:
      clip: what is edited.
      operation: one of `vp_jax.edit.instruction.EDITS`.
      target: words of the thing; an addition needs none.
      result: words of what is there afterwards: a colour, a pattern, a shape; a change keeps what it does not name.

    Raises:
      UserError: no such thing, words that the drawn world does not have, or a change that changes nothing.
    """
    scene = clip.scene
    things = list(scene.things)
    if operation == ADD:
        if len(things) >= MAX_THINGS:
            raise UserError(f"the clip shows {len(things)} things already, {MAX_THINGS} is the most")
        number = len(things)
        drawn = LOOKS[scene.look].thing(np.random.default_rng(clip.seed), scene.things)
        things.append(_as_named(replace(drawn, pattern="plain"), result))
    else:
        number = named_thing(scene, target)
        if operation == REMOVED:
            del things[number]
        else:
            plain = things[number] if operation == CHANGE else replace(things[number], pattern="plain")
            things[number] = _as_named(plain, result, shaped=operation != CHANGE)
    after = replace(scene, things=tuple(things))
    return Edit(operation, after, number, caption(after))


def drawn_masks(clip: WorldClip, edit: Edit) -> np.ndarray:
    """Masks of an edit, bool (F, H, W): the thing before and after it, with its shadow."""
    times_F = np.arange(clip.frames)
    before, after = (render(scene, times_F, clip.height, clip.width) for scene in (clip.scene, edit.scene))
    hole_FHW: np.ndarray = edit_masks(before, after, edit) > 0
    return hole_FHW


def drawn_frame(clip: WorldClip, edit: Edit) -> np.ndarray:
    """First frame of the edited scene, uint8 (H, W, 3)."""
    frame_HWC: np.ndarray = render(edit.scene, np.arange(1), clip.height, clip.width).frames_FHWC[0]
    return frame_HWC


def _as_named(thing: Thing, text: str, *, shaped: bool = True) -> Thing:
    """A thing with the colour, pattern and shape of ``text``."""
    words = [word.strip(",.").lower() for word in text.split()]
    found = {
        name: next((word for word in words if word in known), None)
        for name, known in (("shape", SHAPES), ("colour", COLOURS), ("pattern", PATTERNS))
    }
    changes: dict[str, Any] = {name: word for name, word in found.items() if word is not None}
    new = replace(thing, **changes)
    if not changes.keys() & ({"shape"} if shaped else {"colour", "pattern"}):
        raise UserError(
            f"the drawn world has no {show(text)!r}: it has {', '.join(SHAPES)}; {', '.join(COLOURS)}; "
            f"{', '.join(PATTERNS)}; a real model takes any words, with `video` and `checkpoint`"
        )
    if not shaped and new == thing:
        raise UserError(f"the {thing.shape} is {show(text)} already: name another colour or pattern")
    return new if fits(new.shape, new.pattern, new.motion) else replace(new, pattern="plain")
