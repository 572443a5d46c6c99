"""Edits of a scene with known results: the edited scene is drawn like any other scene.

``change`` gives a thing another colour, ``shape`` another shape, ``swap`` another shape, colour and pattern with the
same motion. ``add`` puts a new thing in front, ``remove`` takes one away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vp_jax.errors import UserError
from vp_jax.world.looks import LOOKS
from vp_jax.world.rendered import Rendered
from vp_jax.world.scene import COLOURS, MAX_THINGS, PATTERNS, SHAPES, Scene, Thing, caption, fits

OPERATIONS = ("change", "shape", "add", "remove", "swap")


@dataclass(frozen=True)
class Edit:
    """Result of an edit.

    Attributes:
      operation: one of `OPERATIONS`.
      scene: scene after the edit.
      thing: number of the edited thing, for "remove" in the scene before the edit.
      prompt: caption of the new scene.
    """

    operation: str
    scene: Scene
    thing: int
    prompt: str


def possible(scene: Scene) -> tuple[str, ...]:
    """Operations that a scene allows: "add" needs room for one more thing, all others need a thing."""
    return tuple(
        name for name in OPERATIONS if (len(scene.things) < MAX_THINGS if name == "add" else bool(scene.things))
    )


def edit(scene: Scene, operation: str, thing: int, seed: int) -> Edit:
    """Edit a scene.

    Args:
      scene: scene before the edit.
      operation: one of `OPERATIONS`.
      thing: number of the thing to edit, from 0; "add" ignores it.
      seed: chooses among the possible results.

    Raises:
      UserError: an unknown operation, a thing that the scene does not have, or no room for one more.
    """
    if operation not in OPERATIONS:
        raise UserError(f"edit {operation!r}: expected one of {', '.join(OPERATIONS)}")
    things = list(scene.things)
    rng = np.random.default_rng([7002, OPERATIONS.index(operation), seed])
    if operation == "add":
        if len(things) >= MAX_THINGS:
            raise UserError(f"the scene already has {len(things)} things of at most {MAX_THINGS}: choose another edit")
        thing = len(things)
        things.append(LOOKS[scene.look].thing(rng, scene.things))
    elif not 0 <= thing < len(things):
        raise UserError(f"thing {thing}: the scene has {len(things)}, numbered from 0")
    elif operation == "remove":
        del things[thing]
    else:
        things[thing] = _other(rng, scene, thing, operation)
    after = replace(scene, things=tuple(things))
    return Edit(operation, after, thing, caption(after))


def _other(rng: np.random.Generator, scene: Scene, thing: int, operation: str) -> Thing:
    """The thing with a look that differs from its own and from all others of the scene."""
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
    """Masks of an edit, FHW uint8 {0, 1}: the union of the thing before and after the edit, with its shadow.

    A "change" of colour leaves the shadow as it is: its masks are of the thing alone. Outside of the masks the two
    renderings are equal bit for bit.
    """
    if edit.operation == "change":
        thing_FHW: np.ndarray = before.mask(edit.thing) | after.mask(edit.thing)
        return thing_FHW
    hole_FHW = np.zeros_like(before.reached_FHW)
    if edit.operation != "add":
        hole_FHW |= before.reach(edit.thing)
    if edit.operation != "remove":
        hole_FHW |= after.reach(edit.thing)
    return hole_FHW
