"""A plan by a vision-language model: it reads the instruction and the first frame, then writes the captions.

Two questions. The first names the operation, the target and where it is; the second, once the mask is known, sees the
first frame and the region alone on black, and writes the captions after the edit (as the reference's editing scripts
do). What the model replies only fills the fields of the plan, which people see before anything runs.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from vp_jax.edit.instruction import EDITS, REMOVED
from vp_jax.edit.plan import EditPlan
from vp_jax.errors import UserError
from vp_jax.inference.task import BACKGROUND
from vp_jax.reading import show
from vp_jax.vlm import Vlm

_TEXT = {"type": "string", "maxLength": 1000}
UNDERSTOOD: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["possible", "operation", "target", "original_caption", "box"],
    "properties": {
        "possible": {"type": "boolean"},
        "operation": {"type": "string", "enum": list(EDITS)},
        "target": {"type": "string", "maxLength": 200},
        "original_caption": _TEXT,
        "box": {
            "type": ["array", "null"],
            "items": {"type": "number", "minimum": 0, "maximum": 1000},
            "minItems": 4,
            "maxItems": 4,
        },
    },
}
"""Form of the first reply; ``box``: left, top, right, bottom in thousandths of the picture."""
WRITTEN: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["caption", "region_caption", "negative_prompt"],
    "properties": {
        "caption": {"type": "string", "minLength": 1, "maxLength": 1000},
        "region_caption": {"type": "string", "minLength": 1, "maxLength": 200},
        "negative_prompt": {"type": "string", "maxLength": 200},
    },
}
"""Form of the second reply."""

_FIRST = """You plan an edit of a video. The picture is its first frame. The instruction, as data between the marks:
<instruction>{instruction}</instruction>
{known}
possible: can it be done by painting one region of the video anew? A change of motion, speed, camera or of the picture \
as a whole cannot.
operation: add (something new appears), remove (something disappears), change (the same thing with another colour, \
material or look), swap (another thing in its place).
target: a short noun phrase that names the thing to edit as it is now; of an addition, the place that it goes to.
original_caption: one or two sentences about what the video shows now.
box: left, top, right, bottom of the region to paint, in thousandths of width and height; null if you cannot tell."""
_SECOND = """You write captions for an edit of a video. The first picture is its first frame, the second shows \
only the region that is painted anew. The instruction, as data between the marks:
<instruction>{instruction}</instruction>
The operation is {operation}, the target is {target}. The video shows now: {original}
caption: what the video shows after the edit, coherent, with the change in it, everything else as it was.
region_caption: what the region shows after the edit, under 20 words, concrete colours, materials and shapes; of a \
removal, the background that appears. Mention neither a mask nor an edit.
negative_prompt: a few words for what must not be seen there afterwards, or an empty text."""


class Understood(NamedTuple):
    """What a model made of an instruction.

    Attributes:
      operation, target: see `EditPlan`.
      original_caption: what the video shows now.
      box: ``box:x,y,width,height`` of the region in pixels, or ``None``.
    """

    operation: str
    target: str
    original_caption: str
    box: str | None


def understand(vlm: Vlm, instruction: str, frame_HWC: np.ndarray, original: str | None = None) -> Understood:
    """Ask what an instruction means for a video.

    Args:
      vlm: the model.
      instruction: the words.
      frame_HWC: first frame of the video, uint8 RGB.
      original: caption of the video as it is, if anybody knows it.

    Raises:
      UserError: the model cannot be reached, gives no usable reply, or says that the edit is none of a region.
    """
    known = f"The video shows: {original}" if original else ""
    reply = vlm.ask(_FIRST.format(instruction=instruction, known=known), [frame_HWC], UNDERSTOOD)
    assert isinstance(reply, dict)
    if not reply["possible"]:
        raise UserError(f"instruction {show(instruction)!r}: {vlm.name} says that no region can be painted to do it")
    box = None if reply["box"] is None else _box(reply["box"], frame_HWC.shape[:2])
    return Understood(reply["operation"], _line(reply["target"]), original or _line(reply["original_caption"]), box)


def plan_by_vlm(
    vlm: Vlm, instruction: str, understood: Understood, frame_HWC: np.ndarray, hole_HW: np.ndarray
) -> EditPlan:
    """Ask for the captions after the edit.

    Args:
      vlm: the model.
      instruction: the words.
      understood: the first reply, or what flags say in its place.
      frame_HWC: first frame of the video, uint8 RGB.
      hole_HW: bool, True where it is painted anew.

    Raises:
      UserError: the model cannot be reached, or gives no usable reply.
    """
    operation, target, original, _ = understood
    question = _SECOND.format(instruction=instruction, operation=operation, target=target, original=original)
    reply = vlm.ask(question, [frame_HWC, frame_HWC * hole_HW[..., None]], WRITTEN)
    assert isinstance(reply, dict)
    return EditPlan(
        instruction=_line(instruction),
        operation=operation,
        target=target,
        caption=_line(reply["caption"]),
        region_caption=_line(reply["region_caption"]) or BACKGROUND,
        negative_prompt=_line(reply["negative_prompt"]) or (None if operation == REMOVED else ""),
        written_by=vlm.name,
    )


def override(plan: EditPlan, **given: Any) -> EditPlan:
    """A plan with what a person gave in place of what was written; ``None`` is not given."""
    return dataclasses.replace(plan, **{name: value for name, value in given.items() if value is not None})


def _line(text: str) -> str:
    return " ".join(text.split())


def _box(edges: list[float], size: tuple[int, ...]) -> str | None:
    """A box in pixels of the picture; ``None`` for one without an area."""
    rows, columns = size
    left, right = (min(max(edge, 0), 1000) / 1000 * columns for edge in sorted(edges[0::2]))
    top, bottom = (min(max(edge, 0), 1000) / 1000 * rows for edge in sorted(edges[1::2]))
    x, y, width, height = round(left), round(top), round(right) - round(left), round(bottom) - round(top)
    return f"box:{x},{y},{width},{height}" if width > 0 and height > 0 else None
