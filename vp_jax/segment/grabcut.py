"""The default backend: GrabCut (Rother et al. 2004), carried from frame to frame by optical flow; needs no weights.

In the frame of a prompt, GrabCut separates a thing by colour, inside a box or around points. In every later frame, the
mask is carried there by dense flow; a band around its outline is undecided and fitted again, with the colours learned
so far. A thing whose carried pixels do not agree with the flow back, or whose colours are gone, is lost: its mask is
empty until its colours are seen again near to where it was expected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from vp_jax.errors import UserError
from vp_jax.segment.flow import Flows, carried, flows_between
from vp_jax.segment.prompts import AnyPrompt, Box, FirstMask, Placed, Point, Scribble, Words, described, things_of
from vp_jax.segment.tracking import Tracked

_FIRST_ROUNDS, _ROUNDS = 6, 2
"""Iterations of GrabCut in a prompted frame, and in each later one."""
LEAST_CONFIDENCE = 0.25
"""Confidence below which a thing is lost."""


@dataclasses.dataclass
class _Thing:
    """What is known of one thing: its mask in the frame before, and the colour models of it and of what is around."""

    mask_HW: np.ndarray
    area: float
    inside: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((1, 65)))
    outside: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((1, 65)))


class GrabCut:
    """See the top of this file.

    Args:
      band: half the width of the undecided band around a carried outline, as a share of the thing's diameter.
    """

    def __init__(self, band: float = 0.12) -> None:
        self.band = band

    def track(self, frames: Iterable[np.ndarray], prompts: Sequence[AnyPrompt]) -> Iterator[Tracked]:
        """See `vp_jax.segment.tracking.Backend`."""
        for prompt in prompts:
            if isinstance(prompt, Words):
                raise UserError(f"{described(prompt)}: grabcut does not understand words; give a box or points")
        placed = [prompt for prompt in prompts if not isinstance(prompt, Words)]
        things: dict[int, _Thing] = {}
        before_HWC: np.ndarray | None = None
        for number, frame_HWC in enumerate(frames):
            found: dict[int, tuple[np.ndarray, float]] = {}
            flows = flows_between(frame_HWC, before_HWC) if things and before_HWC is not None else None
            for name in things_of(placed):
                here = [prompt for prompt in placed if prompt.thing == name and prompt.frame == number]
                if flows is not None and name in things:
                    found[name] = self._follow(things[name], frame_HWC, flows)
                if here:
                    others = [p for p in placed if p.thing != name and p.frame == number]
                    things[name] = first_cut(frame_HWC, here, others, found.get(name, (None, 0.0))[0])
                    found[name] = things[name].mask_HW, 1.0
            yield _result(number, frame_HWC.shape[:2], found)
            before_HWC = frame_HWC

    def _follow(self, thing: _Thing, frame_HWC: np.ndarray, flows: Flows) -> tuple[np.ndarray, float]:
        """The mask in the next frame and its confidence."""
        carried_HW = carried(thing.mask_HW.astype(np.float32), flows.back_HW2)
        if not (carried_HW > 0.5).any():
            return np.zeros_like(thing.mask_HW), 0.0
        reach = max(2, round(self.band * np.sqrt(thing.area)))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        wide_HW = cv2.dilate((carried_HW > 0.3).astype(np.uint8), kernel) > 0
        core_HW = cv2.erode((carried_HW > 0.7).astype(np.uint8), kernel) > 0
        trimap_HW = np.full(thing.mask_HW.shape, cv2.GC_BGD, np.uint8)
        trimap_HW[wide_HW] = cv2.GC_PR_BGD
        trimap_HW[carried_HW > 0.5] = cv2.GC_PR_FGD
        trimap_HW[core_HW & flows.agree_HW] = cv2.GC_FGD
        thing.mask_HW = cut(frame_HWC, trimap_HW, thing, _ROUNDS)
        agree = float(flows.agree_HW[carried_HW > 0.5].mean())
        return thing.mask_HW, agree


def first_cut(
    frame_HWC: np.ndarray, prompts: Sequence[Placed], others: Sequence[Placed], known_HW: np.ndarray | None = None
) -> _Thing:
    """A thing as its prompts show it in one frame.

    Args:
      frame_HWC: uint8 RGB.
      prompts: of the thing.
      others: of other things, which this one does not hold.
      known_HW: mask that a track has here already, which the prompts correct.
    """
    trimap_HW = trimap_of(frame_HWC.shape[:2], prompts, others, known_HW)
    thing = _Thing(known_HW if known_HW is not None else np.zeros(trimap_HW.shape, bool), 0.0)
    given = [prompt for prompt in prompts if isinstance(prompt, FirstMask)]
    thing.mask_HW = cut(frame_HWC, trimap_HW, thing, _FIRST_ROUNDS)
    if given:
        thing.mask_HW = np.asarray(given[-1].mask_HW, bool)
    thing.area = float(thing.mask_HW.sum())
    return thing


def trimap_of(
    size: tuple[int, int], prompts: Sequence[Placed], others: Sequence[Placed], known_HW: np.ndarray | None
) -> np.ndarray:
    """What GrabCut is to decide, uint8 (H, W) of ``cv2.GC_*``."""
    height, width = size
    boxes = [prompt for prompt in prompts if isinstance(prompt, Box)]
    masks = [prompt for prompt in prompts if isinstance(prompt, FirstMask)]
    radius = max(1, round(0.012 * min(size)))
    trimap_HW = np.full(size, cv2.GC_PR_BGD, np.uint8)
    if known_HW is not None:
        trimap_HW[known_HW] = cv2.GC_PR_FGD
    for box in boxes:
        trimap_HW[:] = cv2.GC_BGD
        rows, columns = (
            slice(max(0, round(box.y)), round(box.y + box.height)),
            slice(max(0, round(box.x)), round(box.x + box.width)),
        )
        trimap_HW[rows, columns] = cv2.GC_PR_FGD
    for mask in masks:
        trimap_HW[:] = np.where(mask.mask_HW, cv2.GC_PR_FGD, cv2.GC_BGD)
    if not boxes and not masks and known_HW is None:
        for prompt in prompts:
            if isinstance(prompt, Point | Scribble) and prompt.inside:
                _draw(trimap_HW, prompt, round(0.15 * min(height, width)), cv2.GC_PR_FGD)
    for prompt in others:
        if isinstance(prompt, Point | Scribble) and prompt.inside:
            _draw(trimap_HW, prompt, radius, cv2.GC_BGD)
    for prompt in prompts:
        if isinstance(prompt, Point | Scribble):
            _draw(trimap_HW, prompt, radius, cv2.GC_FGD if prompt.inside else cv2.GC_BGD)
    return trimap_HW


def _draw(trimap_HW: np.ndarray, prompt: Point | Scribble, radius: int, value: int) -> None:
    points_N2 = np.array([[prompt.x, prompt.y]]) if isinstance(prompt, Point) else np.asarray(prompt.points_N2)
    corners = np.round(points_N2).astype(np.int32)
    for x, y in corners.tolist():
        cv2.circle(trimap_HW, (x, y), radius, value, -1)
    if len(corners) > 1:
        cv2.polylines(trimap_HW, [corners], False, value, 2 * radius + 1)


def cut(frame_HWC: np.ndarray, trimap_HW: np.ndarray, thing: _Thing, rounds: int) -> np.ndarray:
    """Run GrabCut on a trimap, with the thing's colour models if it has some, and keep these; the mask, bool (H, W)."""
    certain = np.isin(trimap_HW, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not certain.any() or certain.all():
        return certain
    picture_HWC = np.ascontiguousarray(frame_HWC[..., ::-1])
    mode = cv2.GC_INIT_WITH_MASK if not thing.inside.any() else cv2.GC_EVAL
    cv2.setRNGSeed(0)
    cv2.grabCut(picture_HWC, trimap_HW, None, thing.outside, thing.inside, rounds, mode)
    return np.isin(trimap_HW, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _result(number: int, size: tuple[int, ...], found: dict[int, tuple[np.ndarray, float]]) -> Tracked:
    labels_HW = np.zeros(size, np.uint8)
    lost = frozenset(name for name, (_, sure) in found.items() if sure < LEAST_CONFIDENCE)
    for name, (mask_HW, _) in sorted(found.items(), key=lambda item: item[1][1]):
        if name not in lost:
            labels_HW[mask_HW] = name
    return Tracked(number, labels_HW, {name: sure for name, (_, sure) in found.items()}, lost)
