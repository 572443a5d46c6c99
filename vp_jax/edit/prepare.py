"""From what a person gave to a plan and its mask: by rules, by a model, or from a plan that was written before."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vp_jax.edit.ask import Understood, override, plan_by_vlm, understand
from vp_jax.edit.first_frame import DRAWN
from vp_jax.edit.instruction import ADD, REMOVED, parse_instruction
from vp_jax.edit.masks import ONE_COLOUR, first_hole, mask_file, write_holes
from vp_jax.edit.plan import BY_RULES, EditPlan
from vp_jax.edit.rules import plan_by_hand, plan_by_rules
from vp_jax.edit.world import drawn_edit, drawn_frame, drawn_masks
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Video
from vp_jax.vlm import Vlm
from vp_jax.world.edit import Edit
from vp_jax.world.synthetic import WorldClip

_OVERRIDES = (
    "operation",
    "target",
    "caption",
    "region_caption",
    "negative_prompt",
    "mask",
    "mask_dilate",
    "first_frame",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """What a person gave; everything but one of ``instruction``, ``operation`` and ``plan`` may miss.

    Attributes:
      instruction: what to do, in words.
      original_caption: what the video shows now.
      plan: one that was written before; the fields below take the place of its own.
      operation, target, caption, region_caption, negative_prompt, mask, mask_dilate, first_frame: see `EditPlan`.
      segmenter: for masks by words, boxes and points, see `vp_jax.segment.backends.named_backend`.
      mask_options: of `vp_jax.inference.inputs.Mask.open`, for the mask's file.
    """

    instruction: str | None = None
    original_caption: str | None = None
    plan: EditPlan | None = None
    operation: str | None = None
    target: str | None = None
    caption: str | None = None
    region_caption: str | None = None
    negative_prompt: str | None = None
    mask: str | None = None
    mask_dilate: int | None = None
    first_frame: str | None = None
    segmenter: str = ONE_COLOUR
    mask_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class ReadyEdit(NamedTuple):
    """An edit that is ready to be a job.

    Attributes:
      plan: what is done.
      mask: file of the mask.
      frame_HWC: first frame of the source, uint8 RGB.
      hole_HW: mask of the first frame, bool, not grown.
      drawn_HWC: first frame of the edited scene, uint8, of a drawn clip.
    """

    plan: EditPlan
    mask: Path
    frame_HWC: np.ndarray
    hole_HW: np.ndarray
    drawn_HWC: np.ndarray | None = None


def prepare_edit(
    given: Given,
    video: Video,
    out: Path,
    *,
    vlm: Vlm | None = None,
    clip: WorldClip | None = None,
    note: Callable[[str], object] = lambda line: None,
) -> ReadyEdit:
    """Plan an edit and make its mask.

    Args:
      given: what a person gave.
      video: the source.
      out: result of the job; a mask that has to be made is written beside it.
      vlm: a model that understands the instruction and writes the captions; ``None``: rules do.
      clip: the drawn clip that ``video`` shows, if it does.
      note: is given what was found by tracking, a line at a time.

    Raises:
      UserError: an instruction that cannot be understood, nothing that says where, or no usable reply.
    """
    frame_HWC = np.asarray(video.frames_FHWC[0])
    original = given.original_caption or (clip.caption if clip is not None else None)
    make_mask = functools.partial(mask_file, video=video, out=out, clip=clip, segmenter=given.segmenter, note=note)
    mask: Path | None = None
    if vlm is not None and given.plan is None and given.instruction:
        plan, mask = _by_vlm(given, frame_HWC, vlm, clip, original, make_mask)
    else:
        plan = given.plan or _by_rules(given, original)
    plan = _overridden(plan, given)
    drawn_HWC = None
    if clip is not None and (plan.first_frame in (None, DRAWN) or (plan.mask is None and not plan.target)):
        edit = drawn_edit(clip, plan.operation, plan.target, plan.region_caption or plan.caption or "")
        plan, drawn_HWC = _of_scene(plan, given, edit), drawn_frame(clip, edit)
        if plan.mask is None:
            mask = write_holes(drawn_masks(clip, edit), video, out)
            return ReadyEdit(plan, mask, frame_HWC, first_hole(mask, video, given.mask_options), drawn_HWC)
    mask = mask or make_mask(plan.mask, plan.target)
    return ReadyEdit(plan, mask, frame_HWC, first_hole(mask, video, given.mask_options), drawn_HWC)


def _of_scene(plan: EditPlan, given: Given, edit: Edit) -> EditPlan:
    """A plan for a drawn clip: the scene says what rules cannot know, and its first frame is drawn."""
    plan = override(plan, first_frame=plan.first_frame or DRAWN)
    by_scene = plan.operation == ADD and plan.written_by == BY_RULES and given.plan is None and not given.caption
    return override(plan, caption=edit.prompt) if by_scene else plan


def _by_rules(given: Given, original: str | None) -> EditPlan:
    if not given.instruction:
        return plan_by_hand(given.operation or "", given.target or "", given.caption)
    try:
        instruction = parse_instruction(given.instruction)
    except UserError:
        if not (given.operation and (given.caption or given.operation == REMOVED)):
            raise
        plan = plan_by_hand(given.operation, given.target or "", given.caption)
        return dataclasses.replace(plan, instruction=" ".join(given.instruction.split()))
    return plan_by_rules(given.instruction, instruction, original)


def _by_vlm(
    given: Given,
    frame_HWC: np.ndarray,
    vlm: Vlm,
    clip: WorldClip | None,
    original: str | None,
    make_mask: Callable[[str | None, str], Path],
) -> tuple[EditPlan, Path | None]:
    """The plan of a model, and the mask that it was shown; ``None``: of what is added to a drawn clip."""
    assert given.instruction is not None
    found = understand(vlm, given.instruction, frame_HWC, original)
    found = Understood(
        given.operation or found.operation, given.target or found.target, found.original_caption, found.box
    )
    where = given.mask or (found.box if clip is None else None)
    if clip is not None and where is None and found.operation == ADD:
        mask, hole_HW = None, np.zeros(frame_HWC.shape[:2], bool)  # drawn later, once it is known what is added
    else:
        mask = make_mask(where, found.target)
        hole_HW = first_hole(mask, Video(frame_HWC[None]), given.mask_options)
    return override(plan_by_vlm(vlm, given.instruction, found, frame_HWC, hole_HW), mask=where), mask


def _overridden(plan: EditPlan, given: Given) -> EditPlan:
    changes = {name: getattr(given, name) for name in _OVERRIDES}
    if changes["caption"] and not changes["region_caption"] and not plan.region_caption:
        changes["region_caption"] = changes["caption"]
    return override(plan, **changes)
