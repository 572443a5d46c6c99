"""Edits of a scene whose exact result is known: the edited scene is drawn like any other.

change    another colour            shape     another shape of the same colour
add       a new thing in front      remove    the thing is gone
swap      another thing: shape, colour and pattern differ; it moves the same way
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vp_jax.errors import UserError
from vp_jax.world.render import Rendered
from vp_jax.world.scene import COLOURS, MAX_THINGS, PATTERNS, SHAPES, Scene, Thing, caption, draw_thing, fits

OPERATIONS = ("change", "shape", "add", "remove", "swap")


@dataclass(frozen=True)
class Edit:
    """``scene`` after ``operation``. ``thing`` is the number of the edited thing, for "remove" in the scene before."""

    operation: str
    scene: Scene
    thing: int
    prompt: str


def possible(scene: Scene) -> tuple[str, ...]:
    """The operations of a scene: a full one takes no more things, an empty one has none to edit."""
    return tuple(
        name for name in OPERATIONS if (len(scene.things) < MAX_THINGS if name == "add" else bool(scene.things))
    )


def edit(scene: Scene, operation: str, thing: int, seed: int) -> Edit:
    """One edit of thing number ``thing`` ("add" does not look at it); ``seed`` chooses among the results.

    Raises:
      UserError: no such operation, no such thing, or no room for one more.
    """
    if operation not in OPERATIONS:
        raise UserError(f"edit {operation!r}: expected one of {', '.join(OPERATIONS)}")
    things = list(scene.things)
    rng = np.random.default_rng([7002, OPERATIONS.index(operation), seed])
    if operation == "add":
        if len(things) >= MAX_THINGS:
            raise UserError(f"the scene has {len(things)} things already, of at most {MAX_THINGS}: choose another edit")
        thing = len(things)
        things.append(draw_thing(rng, scene.things))
    elif not 0 <= thing < len(things):
        raise UserError(f"thing {thing}: the scene has {len(things)}, numbered from 0")
    elif operation == "remove":
        del things[thing]
    else:
        things[thing] = _other(rng, scene, thing, operation)
    after = replace(scene, things=tuple(things))
    return Edit(operation, after, thing, caption(after))


def _other(rng: np.random.Generator, scene: Scene, thing: int, operation: str) -> Thing:
    """The thing with other looks, still unlike all things of the scene."""
    old = scene.things[thing]
    colours = [colour for colour in COLOURS if colour not in {other.colour for other in scene.things}]
    shapes = [shape for shape in SHAPES if shape not in {other.shape for other in scene.things}]
    patterns = [pattern for pattern in PATTERNS if pattern != old.pattern]
    looks = [
        (shape, colour, pattern)
        for shape in ([old.shape] if operation == "change" else shapes)
        for colour in ([old.colour] if operation == "shape" else colours)
        for pattern in (patterns if operation == "swap" else [old.pattern])
        if fits(shape, pattern, old.motion)
    ]
    shape, colour, pattern = looks[rng.integers(len(looks))]
    return replace(old, shape=shape, colour=colour, pattern=pattern)


def edit_masks(before: Rendered, after: Rendered, edit: Edit) -> np.ndarray:
    """The hole of an edit, FHW uint8 {0, 1}: the thing's masks before and after together.

    Outside of it the two renderings are the same bit for bit.
    """
    hole_FHW = np.zeros_like(before.touched_FHW)
    if edit.operation != "add":
        hole_FHW |= before.mask(edit.thing)
    if edit.operation != "remove":
        hole_FHW |= after.mask(edit.thing)
    return hole_FHW
