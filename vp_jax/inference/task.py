"""What a hole is filled with: what a prompt describes, or the background without the thing that was there.

A removal grows the hole, so that neither the rim of the thing nor its outline is left to be drawn again, needs no
prompt, and has a negative prompt that names what is not to be drawn. `bench.holes` measures these defaults.
"""

from __future__ import annotations

from typing import Final

from vp_jax.errors import UserError

FILL: Final = "fill"
REMOVE: Final = "remove"
TASKS = (FILL, REMOVE)
BACKGROUND = "an empty background"
"""Prompt of a removal for which none is given."""
NOT_BACKGROUND = "object, person, animal, text, outline, shadow"
"""Its negative prompt."""
GROWTH = 1 / 64
"""Share of a picture's shorter side by which a removal grows its hole on each side: of the measured growths the largest
that costs nothing, see docs/holes.md."""


def check_task(task: object) -> None:
    """Raises:
    UserError: a word that is none of `TASKS`.
    """
    if task not in TASKS:
        raise UserError(f"task {task}: expected {' or '.join(TASKS)}")


def growth_of(task: str, size: tuple[int, int]) -> int:
    """Pixels by which a hole grows on each side where no number is given.

    Args:
      task: one of `TASKS`.
      size: height and width of the source.
    """
    return round(GROWTH * min(size)) if task == REMOVE else 0


def negative_of(task: str, negative: str | None) -> str:
    """The negative prompt: the given one, or that of the task. "" is one, and describes nothing."""
    if negative is not None:
        return negative
    return NOT_BACKGROUND if task == REMOVE else ""
