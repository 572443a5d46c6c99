"""Contact sheets of the drawn world: ``vp-jax sheet world``.

A scene is a row of five frames, followed by the labels of the third. Edits are a row of the original scene, then one
row for each exact result, followed by the third frame with its hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.files import write_atomically
from vp_jax.media import pictures
from vp_jax.world.looks import DEFAULT_LOOK, LOOKS
from vp_jax.world.synthetic import caption, edit, edit_masks, make_scene, masked_thing, possible, render

TIMES_F = np.arange(0, 17, 4)
SheetRow = tuple[str, list[np.ndarray]]
"""Title and pictures."""


def scene_row(seed: int, height: int, look: str = DEFAULT_LOOK) -> SheetRow:
    """Caption, frames, and the labels of the middle frame as flat colours."""
    scene = make_scene(seed, look)
    drawn = render(scene, TIMES_F, height, height * 3 // 2)
    flat = np.array([(235, 235, 235), *(LOOKS[look].rgb[thing.colour] for thing in scene.things)], np.uint8)
    return f"{seed}: {caption(scene)}", [*drawn.frames_FHWC, flat[drawn.labels_FHW[len(TIMES_F) // 2]]]


def edit_rows(seed: int, height: int, look: str = DEFAULT_LOOK) -> Iterator[SheetRow]:
    """Frames of a scene, then the frames after each edit and the middle frame with the hole in black."""
    scene = make_scene(seed, look)
    before = render(scene, TIMES_F, height, height * 3 // 2)
    yield f"{seed}: {caption(scene)}", [*before.frames_FHWC]
    for operation in possible(scene):
        done = edit(scene, operation, masked_thing(scene, seed), seed)
        after = render(done.scene, TIMES_F, height, height * 3 // 2)
        hole_FHW = edit_masks(before, after, done)
        middle = len(TIMES_F) // 2
        masked_HWC = np.where(hole_FHW[middle][:, :, None] > 0, np.uint8(0), before.frames_FHWC[middle])
        yield f"{operation}: {done.prompt}", [*after.frames_FHWC, masked_HWC]


def sheet(rows: list[SheetRow], gap: int = 4, text: int = 15) -> Image.Image:
    """Picture of rows of pictures of one size, each row under its title; ``gap`` and ``text`` are in pixels."""
    lines = [pictures.PictureRow(title, shown, pictures.BLACK) for title, shown in rows]
    return pictures.grid(lines, above=text - gap, gap=gap, margin=gap, font_size=10, paper=pictures.WHITE)


def save_sheet(
    out: Path, scenes: Sequence[int], edits: Sequence[int], height: int = 96, look: str = DEFAULT_LOOK
) -> None:
    """Save a sheet of the scenes of some seeds, and of others with all their edits.

    Args:
      out: file to write.
      scenes: seeds of the scenes to show.
      edits: seeds of the scenes to edit in every way.
      height: rows of a picture; the model is trained on 64.
      look: name of the look, one of `vp_jax.world.looks.LOOKS`.

    Raises:
      UserError: an unknown look, no seed or more than 100, one below 0, or pictures of fewer than 16 or more than
        480 rows.
    """
    seeds = [*scenes, *edits]
    if not 1 <= len(seeds) <= 100 or min(seeds) < 0 or not 16 <= height <= 480:
        raise UserError("expected 1 to 100 seeds, none below 0, and a height of 16 to 480")
    rows = [scene_row(seed, height, look) for seed in scenes]
    picture = sheet([*rows, *(row for seed in edits for row in edit_rows(seed, height, look))])
    write_atomically(out, lambda partial: picture.save(partial, optimize=True))
