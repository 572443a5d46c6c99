"""The looks of the drawn world, and the functions that depend on the look: its scenes, things, words and pictures.

A look is a package beside this file and an entry of `LOOKS`. To delete one, delete both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vp_jax.errors import UserError
from vp_jax.world.flat.draw import FLAT_RGB, draw_flat
from vp_jax.world.flat.scenes import FLAT_GROUNDS, flat_scene, flat_thing
from vp_jax.world.lit.draw import draw_lit
from vp_jax.world.lit.palette import LIT_RGB
from vp_jax.world.lit.scenes import LIT_GROUNDS, lit_scene, lit_thing
from vp_jax.world.rendered import Rendered
from vp_jax.world.scene import COLOURS, GROUND_COLOURS, MOTIONS, PATTERNS, SHAPES, Scene, Thing

DEFAULT_LOOK = "lit"
"""The look that the packaged model was trained on."""


@dataclass(frozen=True)
class WorldLook:
    """A way to choose and to draw scenes.

    Attributes:
      grounds: words for its backgrounds.
      rgb: colour of a thing by its word, 0 to 255.
      scene: scene of a seed.
      thing: draws one more thing, given those behind it.
      draw: pictures of a scene at some times, by height and width.
    """

    grounds: tuple[str, ...]
    rgb: dict[str, tuple[int, int, int]]
    scene: Callable[[int], Scene]
    thing: Callable[[np.random.Generator, tuple[Thing, ...]], Thing]
    draw: Callable[[Scene, np.ndarray, int, int], Rendered]


LOOKS = {
    "flat": WorldLook(FLAT_GROUNDS, FLAT_RGB, flat_scene, flat_thing, draw_flat),
    "lit": WorldLook(LIT_GROUNDS, LIT_RGB, lit_scene, lit_thing, draw_lit),
}


def check_look(look: str, name: str = "look") -> None:
    """Raises `UserError` for a look that is not one of `LOOKS`; ``name`` is the argument's."""
    if look not in LOOKS:
        raise UserError(f"{name} {look!r}: expected one of {', '.join(LOOKS)}")


def make_scene(seed: int, look: str = DEFAULT_LOOK) -> Scene:
    """Scene of a seed of 0 or more: one to three things of different shapes and colours.

    Raises:
      UserError: an unknown look.
    """
    check_look(look)
    return LOOKS[look].scene(seed)


def render(scene: Scene, times_F: np.ndarray, height: int, width: int) -> Rendered:
    """Draw a scene in its look.

    Args:
      scene: scene to draw.
      times_F: times in frames, any real numbers.
      height: rows of a frame.
      width: columns of a frame.
    """
    return LOOKS[scene.look].draw(scene, times_F, height, width)


def caption_words(look: str = DEFAULT_LOOK) -> frozenset[str]:
    """All words of the captions of a look."""
    check_look(look)
    things = (*SHAPES, *COLOURS, *PATTERNS[1:], *MOTIONS)
    return frozenset((*things, *LOOKS[look].grounds, *GROUND_COLOURS, "a", "an", "and", "over"))
