"""GrabCut (Rother et al. 2004) in one frame: from boxes, points, scribbles and masks to a thing's pixels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vp_jax.segment.prompts import Box, FirstMask, Placed, Point, Scribble

_ROUNDS = 6
"""Iterations of GrabCut."""
_SURE, _MAYBE = (cv2.GC_FGD, cv2.GC_PR_FGD), (cv2.GC_PR_FGD, cv2.GC_PR_BGD)
_NO_BOX = (0, 0, 1, 1)
"""Not read: a trimap says more than a box."""
BRUSH = 0.012
"""Radius of a point, as a share of the picture's shorter side."""


def first_cut(
    frame_HWC: np.ndarray, prompts: Sequence[Placed], others: Sequence[Placed], known_HW: np.ndarray | None = None
) -> np.ndarray:
    """The pixels of a thing in a frame with prompts of it, bool (H, W).

    Args:
      frame_HWC: uint8 RGB.
      prompts: of the thing, all on this frame; the last `FirstMask` is taken as it is.
      others: of other things, which this one does not hold.
      known_HW: mask that the thing's track has here already, which the prompts correct.
    """
    for prompt in reversed(prompts):
        if isinstance(prompt, FirstMask):
            return np.asarray(prompt.mask_HW, bool)
    trimap_HW = trimap_of(frame_HWC.shape[:2], prompts, others, known_HW)
    mask_HW = cut(frame_HWC, trimap_HW.copy())
    if not any(isinstance(prompt, Box) for prompt in prompts) and known_HW is None:
        mask_HW = _at_seeds(mask_HW, trimap_HW == cv2.GC_FGD)
    return mask_HW


def trimap_of(
    size: tuple[int, ...], prompts: Sequence[Placed], others: Sequence[Placed], known_HW: np.ndarray | None
) -> np.ndarray:
    """What GrabCut is to decide, uint8 (H, W) of ``cv2.GC_*``; arguments as in `first_cut`.

    With a box, everything outside of it is background. With points alone, the thing is looked for around them, and the
    rim of the picture is background. Prompts that correct a known mask leave what is far from them as it was.
    """
    shorter = min(size)
    radius = max(1, round(BRUSH * shorter))
    marks = [prompt for prompt in prompts if isinstance(prompt, Point | Scribble)]
    trimap_HW = np.full(size, cv2.GC_BGD, np.uint8)
    boxes = [prompt for prompt in prompts if isinstance(prompt, Box)]
    for box in boxes:
        rows = slice(max(0, round(box.y)), max(0, round(box.y + box.height)))
        columns = slice(max(0, round(box.x)), max(0, round(box.x + box.width)))
        trimap_HW[rows, columns] = cv2.GC_PR_FGD
    if known_HW is not None and not boxes:
        near_HW = np.zeros(size, np.uint8)
        for mark in marks:
            _draw(near_HW, mark, round(0.2 * shorter), 1)
        trimap_HW[:] = np.where(known_HW, cv2.GC_FGD, cv2.GC_BGD)
        trimap_HW[near_HW > 0] = np.where(known_HW, *_MAYBE)[near_HW > 0]
    elif not boxes:
        trimap_HW[1:-1, 1:-1] = cv2.GC_PR_BGD
    for mark in marks:
        if mark.inside and not boxes:
            _draw(trimap_HW, mark, round(0.08 * shorter), cv2.GC_PR_FGD)
    for prompt in others:
        if isinstance(prompt, Point | Scribble) and prompt.inside:
            _draw(trimap_HW, prompt, radius, cv2.GC_BGD)
    for mark in marks:
        _draw(trimap_HW, mark, radius, cv2.GC_FGD if mark.inside else cv2.GC_BGD)
    return trimap_HW


def cut(frame_HWC: np.ndarray, trimap_HW: np.ndarray) -> np.ndarray:
    """Run GrabCut on a trimap, which it changes; the pixels of the thing, bool (H, W). Equal input, equal result."""
    inside = np.isin(trimap_HW, _SURE)
    if not inside.any() or inside.all() or not np.isin(trimap_HW, _MAYBE).any():
        return inside
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    bgr_HWC = np.ascontiguousarray(frame_HWC[..., ::-1])
    cv2.grabCut(bgr_HWC, trimap_HW, _NO_BOX, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(trimap_HW, _SURE)


def _at_seeds(mask_HW: np.ndarray, seeds_HW: np.ndarray) -> np.ndarray:
    """The parts of a mask that hold a seed."""
    _, parts_HW = cv2.connectedComponents(mask_HW.astype(np.uint8))
    kept = np.setdiff1d(np.unique(parts_HW[seeds_HW & mask_HW]), [0])
    return np.isin(parts_HW, kept) if len(kept) else mask_HW


def _draw(picture_HW: np.ndarray, prompt: Point | Scribble, radius: int, value: int) -> None:
    points_N2 = np.array([[prompt.x, prompt.y]]) if isinstance(prompt, Point) else np.asarray(prompt.points_N2)
    corners = np.round(points_N2).astype(np.int32)
    for x, y in corners.tolist():
        cv2.circle(picture_HW, (x, y), radius, value, -1)
    if len(corners) > 1:
        cv2.polylines(picture_HW, [corners], False, value, 2 * radius + 1)
