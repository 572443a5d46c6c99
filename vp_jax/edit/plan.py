"""An edit as data: what was understood, where, and what it shows afterwards; a JSON file that people can change."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from vp_jax.edit.instruction import ADD, CHANGE, EDITS, REMOVED, SWAP
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.inference.task import FILL, REMOVE
from vp_jax.reading import read_json, show
from vp_jax.schema import OneOf, check_number, from_values

GROWTH_OF_EDIT: Mapping[str, float] = {ADD: 0.0, CHANGE: 1 / 96, REMOVED: 1 / 64, SWAP: 1 / 32}
"""Share of a picture's shorter side by which the mask grows on each side.

An added thing fills the mask as it is; a change keeps the outline, and the rim is grown over its blur; a removal is
`vp_jax.inference.task.GROWTH`; another thing needs room for another outline. The reference's scripts grow every edit by
24 pixels of the source on each side, which is 1/45 of 1080 rows.
"""
BY_RULES = "rules"
LONGEST_TEXT = 2000
"""Characters of the longest caption."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EditPlan:
    """What an edit does. Every field can be given by hand.

    Attributes:
      instruction: the words that it was made of, or "".
      operation: one of `EDITS`.
      target: words of the thing that is edited, for the mask.
      caption: what the edited video shows; ``None``: the job's own for a removal.
      region_caption: what the edited region shows, for the first frame.
      negative_prompt: what it should not show; ``None``: the job's own.
      mask: file, or what `vp_jax.edit.masks.mask_file` takes; ``None``: by the words of the target.
      mask_dilate: source pixels by which the mask grows on each side; ``None``: by the operation.
      first_frame: see `vp_jax.edit.first_frame`; ``None``: frame 0 is generated with the others.
      written_by: ``rules``, ``hand``, or the name of the model that wrote the captions.
      notes: what a person should know of how it was made.

    Raises:
      UserError: control characters, a text that is too long, or a number out of its range.
    """

    operation: Annotated[str, OneOf(EDITS)]
    instruction: str = ""
    target: str = ""
    caption: str | None = None
    region_caption: str = ""
    negative_prompt: str | None = None
    mask: str | None = None
    mask_dilate: int | None = None
    first_frame: str | None = None
    written_by: str = BY_RULES
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.operation not in EDITS:
            raise UserError(f"operation {show(self.operation)}: expected one of {', '.join(EDITS)}")
        for name in ("instruction", "target", "caption", "region_caption", "negative_prompt"):
            text = getattr(self, name) or ""
            if not text.isprintable():
                raise UserError(f"{name} {show(text)}: expected one line of text without control characters")
            if len(text) > LONGEST_TEXT:
                raise UserError(f"{name}: {len(text)} characters, expected at most {LONGEST_TEXT}")
        if self.mask_dilate is not None:
            check_number("mask_dilate", self.mask_dilate)
        if self.operation != REMOVED and not self.caption:
            raise UserError("caption: what does the edited video show? Only a removal needs none")

    @property
    def task(self) -> Literal["fill", "remove"]:
        """What a job does for it, see `vp_jax.inference.task`."""
        return REMOVE if self.operation == REMOVED else FILL

    def growth(self, size: tuple[int, int]) -> int:
        """Source pixels by which the mask grows, for a video of this height and width."""
        if self.mask_dilate is not None:
            return self.mask_dilate
        return round(GROWTH_OF_EDIT[self.operation] * min(size))

    @property
    def values(self) -> dict[str, Any]:
        """JSON values."""
        return {**dataclasses.asdict(self), "notes": list(self.notes)}

    def write(self, path: Path) -> None:
        """Write the plan (.json); an existing one is replaced."""
        write_text(path, json.dumps(self.values, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> EditPlan:
        """Read a plan that `write` wrote, or a person.

        Raises:
          UserError: not JSON, or not a plan: unknown fields, wrong types.
        """
        return from_values(cls, read_json(path, "a plan of an edit"), f"plan {show(path)}")

    def lines(self) -> list[str]:
        """The plan for a person."""
        shown = {
            "edit": f"{self.operation} {self.target}".strip(),
            "caption": self.caption or "that of a removal",
            "region": self.region_caption,
            "not": self.negative_prompt or "",
            "mask": self.mask or "",
            "first": self.first_frame or "none, it is generated with the others",
            "by": self.written_by,
        }
        return [f"{name:8} {text}" for name, text in shown.items() if text] + [
            f"note     {note}" for note in self.notes
        ]
