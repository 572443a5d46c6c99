"""A plan by rules alone: the grammar of `vp_jax.edit.instruction` and the captions of `vp_jax.edit.captions`."""

from __future__ import annotations

from vp_jax.edit.captions import edited_caption, negative_of_edit, region_caption
from vp_jax.edit.instruction import ADD, REMOVED, EditInstruction
from vp_jax.edit.plan import BY_RULES, EditPlan
from vp_jax.errors import UserError
from vp_jax.inference.task import BACKGROUND


def plan_by_rules(text: str, instruction: EditInstruction, original: str | None = None) -> EditPlan:
    """The plan of an instruction.

    Args:
      text: the instruction as it was given.
      instruction: what was understood.
      original: caption of the video as it is, if anybody knows it.

    Returns:
      The plan; a note says where the caption describes the region alone.
    """
    notes: list[str] = []
    region = region_caption(instruction, BACKGROUND)
    caption = edited_caption(original, instruction) if original else None
    if caption is None:
        caption = None if instruction.operation == REMOVED else region
        if caption and instruction.operation == ADD and instruction.place:
            caption = f"{caption} {instruction.place}"
        if original:
            notes.append(f"the original caption does not name {instruction.target!r}: give `caption`")
        elif instruction.operation != REMOVED:
            notes.append("the caption describes the edited thing alone: give `original_caption`, or `caption`")
    return EditPlan(
        instruction=" ".join(text.split()),
        operation=instruction.operation,
        target=instruction.target,
        caption=caption,
        region_caption=region,
        negative_prompt=negative_of_edit(instruction),
        written_by=BY_RULES,
        notes=tuple(notes),
    )


def plan_by_hand(operation: str, target: str, caption: str | None) -> EditPlan:
    """The plan of flags alone, without an instruction.

    Raises:
      UserError: see `EditPlan`.
    """
    if not operation:
        raise UserError("expected `instruction`, or `operation` with `caption`")
    region = BACKGROUND if operation == REMOVED else (caption or "")
    return EditPlan(operation=operation, target=target, caption=caption, region_caption=region, written_by="hand")
