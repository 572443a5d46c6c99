"""Where a thing is in the next frame: by its colours where they tell it apart, else by how it moves as well.

By colours, GrabCut fits a band around the carried outline again, with the colour models of the frame before. By
motion, three kinds of odds are added for each pixel of the thing's box and smoothed along the picture:

* the carried mask, where the flow there and back agrees,
* colour and place against samples of the thing and of its surroundings (`vp_jax.segment.colours`),
* difference from the background as neighbouring frames show it (`vp_jax.segment.background`).

A thing that is missing is looked for in a part that grows with the time it has been missing.
"""

from __future__ import annotations

import cv2
import numpy as np

from vp_jax.segment.background import Background, Region
from vp_jax.segment.colours import features_of
from vp_jax.segment.flow import Flows, carried
from vp_jax.segment.smoothing import smoothed_odds
from vp_jax.segment.thing import LEAST_SHARE, TrackedThing
from vp_jax.segment.views import View, Window

TOLD_APART = 0.93
"""Share of pixels told apart by colour from which on colours alone are followed."""
_BAND, _ROUNDS = 0.12, 2
_PLACE = 0.25
"""How much places count beside colours where colours alone tell a thing apart."""
_CARRIED = 2.0
"""Limit of the odds of a carried mask."""
_SPECK = 0.01
"""Parts smaller than this share of a thing's area are left out."""


def follow(thing: TrackedThing, window: Window, flows: Flows, background: Background) -> float:
    """Move a thing on to a frame.

    Args:
      thing: changed to what it is there.
      window: the frame and its neighbours.
      flows: of the frame against the one before.
      background: of the video.

    Returns:
      Confidence in the mask, 0 to 1.
    """
    by_colour = thing.apart >= TOLD_APART
    if by_colour and not thing.missing:
        thing.centre = thing.centre + thing.velocity
        return _by_colour(thing, window.now, flows)
    thing.centre = thing.centre + thing.velocity
    if by_colour:
        return _found_again(thing, window.now)
    return _by_motion(thing, window, flows, background)


def _by_colour(thing: TrackedThing, view: View, flows: Flows) -> float:
    soft_HW = carried(thing.soft_HW, flows.back_HW2)
    part = thing.part(view.size)
    odds = thing.colours.odds(features_of(view.lab_HWC, part, thing.centre, thing.scale), _PLACE)
    trimap_HW = _trimap(thing, view, soft_HW, flows.agree_HW, part, odds)
    found_HW = _cut_again(view, trimap_HW, thing)
    inside = found_HW[part]
    alike = float((odds[inside] > 0).mean()) if inside.any() else 0.0
    agree = float(flows.agree_HW[found_HW].mean()) if inside.any() else 0.0
    confidence = alike * (0.5 + 0.5 * agree)
    if confidence < 0.25 or found_HW.sum() < LEAST_SHARE * thing.area:
        return _found_again(thing, view)
    sure = found_HW[part] & (odds > 1)
    share = thing.update(view, part, found_HW.astype(np.float32), sure, inside)
    return min(confidence, share / 0.5)


def _trimap(
    thing: TrackedThing, view: View, soft_HW: np.ndarray, agree_HW: np.ndarray, part: Region, odds: np.ndarray
) -> np.ndarray:
    """What GrabCut is to decide: the carried mask, patches of the thing's colours that touch it, a band around both.

    The patches hold what the flow lost, which is slow to follow small fast things.
    """
    mask_HW = soft_HW > 0.5
    core_HW = mask_HW.copy()
    core_HW[part] &= odds > 0
    alike = (smoothed_odds(odds - 0.5, view.lab_HWC[part]) > 0.5).astype(np.uint8)
    count, patches = cv2.connectedComponents(alike)
    touching = np.bincount(patches[core_HW[part]], minlength=count) > 0
    areas = np.bincount(patches.ravel(), minlength=count)
    touching &= areas < 1.8 * thing.area
    touching[0] = False
    mask_HW[part] = (mask_HW[part] & (odds > -1)) | touching[patches]
    reach = max(2, round(_BAND * np.sqrt(thing.area)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    trimap_HW = np.full(mask_HW.shape, cv2.GC_BGD, np.uint8)
    trimap_HW[cv2.dilate((mask_HW | (soft_HW > 0.3)).astype(np.uint8), kernel) > 0] = cv2.GC_PR_BGD
    trimap_HW[mask_HW] = cv2.GC_PR_FGD
    inner_HW = cv2.erode((soft_HW > 0.7).astype(np.uint8), kernel) > 0
    trimap_HW[inner_HW & core_HW & agree_HW] = cv2.GC_FGD
    trimap_HW[part][odds < -0.5] = cv2.GC_BGD  # GrabCut's models drift into shadows, the samples do not
    return trimap_HW


def _cut_again(view: View, trimap_HW: np.ndarray, thing: TrackedThing) -> np.ndarray:
    """GrabCut with the thing's colour models, which go on learning."""
    sure = (cv2.GC_FGD, cv2.GC_PR_FGD)
    inside = np.isin(trimap_HW, sure)
    if inside.any() and not inside.all():
        outside_model, inside_model = thing.models
        mode = cv2.GC_EVAL if inside_model.any() else cv2.GC_INIT_WITH_MASK
        cv2.setRNGSeed(0)
        bgr_HWC = np.ascontiguousarray(view.rgb_HWC[..., ::-1])
        cv2.grabCut(bgr_HWC, trimap_HW, (0, 0, 1, 1), outside_model, inside_model, _ROUNDS, mode)
    return np.isin(trimap_HW, sure)


def _found_again(thing: TrackedThing, view: View) -> float:
    """Look for a missing thing by its colours alone; its place is taken where a part of its size is like it."""
    part = thing.part(view.size, 2.5 + 0.3 * min(thing.missing, 15))
    nothing = np.zeros(part.shape, bool)
    soft_HW = np.zeros(view.size, np.float32)
    if min(part.shape) < 4:
        return min(thing.update(view, part, soft_HW, nothing, ~nothing), 0.0)
    odds = thing.colours.odds(features_of(view.lab_HWC, part, thing.centre, thing.scale), 0.0)
    alike = (smoothed_odds(odds - 0.5, view.lab_HWC[part]) > 0.5).astype(np.uint8)
    _, parts, boxes, centres = cv2.connectedComponentsWithStats(alike)
    best, score = 0, 0.0
    for number in range(1, len(boxes)):
        area, size = float(boxes[number, cv2.CC_STAT_AREA]), boxes[number, 2:4] / (thing.size * thing.stretch)
        if 0.25 * thing.area < area < 2 * thing.area and 0.4 < size.min() and size.max() < 1.7:
            away = np.linalg.norm(centres[number] + [part.columns.start, part.rows.start] - thing.centre)
            value = float(odds[parts == number].mean()) * min(area / thing.area, thing.area / area)
            value *= float(np.exp(-away / (thing.scale * (3 + 0.5 * thing.missing))))
            best, score = (number, value) if value > score else (best, score)
    if score < 0.5:
        return min(thing.update(view, part, soft_HW, nothing, ~nothing), 0.0)
    soft_HW[part] = parts == best
    thing.update(view, part, soft_HW, nothing, ~nothing)
    return float(min(1.0, score / 2))


def _by_motion(thing: TrackedThing, window: Window, flows: Flows, background: Background) -> float:
    view = window.now
    part = thing.part(view.size, 1.35 + 0.1 * min(thing.missing, 6))
    nothing = np.zeros(part.shape, bool)
    if min(part.shape) < 4:
        return min(thing.update(view, part, np.zeros(view.size, np.float32), nothing, ~nothing), 0.0)
    soft_HW = cv2.GaussianBlur(carried(thing.soft_HW, flows.back_HW2), (0, 0), 1.0)
    around_HW = np.zeros(view.size, bool)
    around_HW[thing.part(view.size, 1.1, 3)] = True
    moving = background.evidence(window, part, around_HW, soft_HW > 0.5)
    odds = thing.colours.odds(features_of(view.lab_HWC, part, thing.centre, thing.scale))
    total = moving + odds - _outside_box(thing, part)
    if not thing.missing:
        total = total + _carried_odds(soft_HW[part], flows.agree_HW[part])
    soft = smoothed_odds(total, view.lab_HWC[part])
    kept = kept_parts(soft > 0.5, moving, odds, thing.area)
    near = cv2.dilate(kept.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    found_HW = np.zeros(view.size, np.float32)
    found_HW[part] = np.where(kept, np.maximum(soft, 0.51), np.minimum(soft, 0.5) * near)
    share = thing.update(view, part, found_HW, kept & (soft > 0.8) & (moving > 0), soft >= 0.2)
    if thing.missing:
        return 0.0
    alike = float((total[kept] > 0).mean()) if kept.any() else 0.0
    return alike * min(1.0, 0.3 + 0.7 * share)


def _carried_odds(soft: np.ndarray, agree: np.ndarray) -> np.ndarray:
    """Log-odds of a carried mask, weaker where the flow does not agree."""
    soft = np.clip(soft, 0.02, 0.98)
    trust = cv2.GaussianBlur(agree.astype(np.float32), (0, 0), 1.0)
    return np.asarray(np.clip(np.log(soft / (1 - soft)) * trust, -_CARRIED, _CARRIED))


def _outside_box(thing: TrackedThing, part: Region) -> np.ndarray:
    """What is taken off the odds of pixels outside of the thing's box: 0 at 1.12 of its size, 3 at 1.32."""
    x = (np.arange(part.columns.start, part.columns.stop) - thing.centre[0]) / thing.size[0] * 2
    y = (np.arange(part.rows.start, part.rows.stop) - thing.centre[1]) / thing.size[1] * 2
    away = np.maximum(np.abs(x)[None, :], np.abs(y)[:, None])
    return np.asarray(15 * np.clip(away - 1.12, 0, 1))


def kept_parts(mask: np.ndarray, moving: np.ndarray, odds: np.ndarray, area: float) -> np.ndarray:
    """A mask without specks, and without parts that are background on average, by movement or by colour."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8))
    areas = np.bincount(parts.ravel(), minlength=count)
    moves, alike = (np.bincount(parts.ravel(), value.ravel(), minlength=count) for value in (moving, odds))
    kept = (areas >= max(6, _SPECK * area)) & (moves >= 0) & (alike >= 0)
    kept[0] = False
    return np.asarray(kept[parts])
