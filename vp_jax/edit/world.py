"""The packaged clip as something to edit: its things are known, so words find their masks without any model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vp_jax.edit.words import phrase_of
from vp_jax.errors import UserError
from vp_jax.jobs.packaged import CLIP, CLIP_SIZE
from vp_jax.media.video_writer import write_video
from vp_jax.world.synthetic import HELD_OUT, World, WorldClip, render, thing_caption


def packaged_clip() -> WorldClip:
    """The clip that comes with the package."""
    return World(CLIP + 1, *CLIP_SIZE, first=HELD_OUT)[CLIP]


def write_world_video(clip: WorldClip, path: Path) -> None:
    """Write the frames of a clip, lossless."""
    frames_FHWC, _ = clip.read(np.arange(clip.frames))
    write_video(path, frames_FHWC, clip.open().fps)


def world_masks(clip: WorldClip, target: str) -> np.ndarray:
    """Masks of the thing that words name, bool (F, H, W), with its shadow.

    Args:
      clip: a clip of the drawn world.
      target: its noun, and adjectives where several things have it: "the square", "the yellow one".

    Raises:
      UserError: no thing of the clip has these words, or several have them.
    """
    phrase = phrase_of(target)
    wanted = {word.lower() for word in (*phrase.adjectives, *phrase.noun.split())} - {"one", "thing", "shape", "object"}
    things = [{thing.colour, thing.pattern, thing.shape} for thing in clip.scene.things]
    found = [number for number, words in enumerate(things) if wanted <= words]
    if len(found) != 1 or not target.strip():
        shown = ", ".join(thing_caption(clip.scene, number) for number in range(len(things)))
        how = "no thing" if not found else "several things"
        raise UserError(f"target {target!r}: {how} of that name in the clip, which shows {shown}")
    drawn = render(clip.scene, np.arange(clip.frames), clip.height, clip.width)
    reached_FHW: np.ndarray = drawn.reach(found[0]) > 0
    return reached_FHW
