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

from vp_jax.segment.background import Background, Part
from vp_jax.segment.colours import features_of
from vp_jax.segment.flow import Flows, carried
from vp_jax.segment.smoothing import smoothed_odds
from vp_jax.segment.thing import Thing
from vp_jax.segment.views import View, Window

APART = 0.93
"""Share of pixels told apart by colour from which on colours alone are followed."""
_BAND, _ROUNDS = 0.12, 2
_CARRIED = 2.0
"""Limit of the odds of a carried mask."""
_SPECK = 0.01
"""Parts smaller than this share of a thing's area are left out."""


def follow(thing: Thing, window: Window, flows: Flows, background: Background) -> float:
    """Move a thing on to a frame.

    Args:
      thing: changed to what it is there.
      window: the frame and its neighbours.
      flows: of the frame against the one before.
      background: of the video.

    Returns:
      Confidence in the mask, 0 to 1.
    """
    by_colour = thing.apart >= APART
    if by_colour and not thing.missing:
        thing.centre = thing.centre + thing.velocity
        return _by_colour(thing, window.now, flows)
    thing.centre = thing.centre + thing.velocity
    if by_colour:
        return _found_again(thing, window.now)
    return _by_motion(thing, window, flows, background)


def _by_colour(thing: Thing, view: View, flows: Flows) -> float:
    soft_HW = carried(thing.soft_HW, flows.back_HW2)
    mask_HW = soft_HW > 0.5
    area = float(mask_HW.sum())
    part = thing.part(view.size)
    nothing = np.zeros(part.shape, bool)
    if not area:
        return min(thing.update(view, part, np.zeros_like(soft_HW), nothing, ~nothing), 0.0)
    agree = float(flows.agree_HW[mask_HW].mean())
    reach = max(2, round(_BAND * np.sqrt(thing.area)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    trimap_HW = np.full(mask_HW.shape, cv2.GC_BGD, np.uint8)
    trimap_HW[cv2.dilate((soft_HW > 0.3).astype(np.uint8), kernel) > 0] = cv2.GC_PR_BGD
    trimap_HW[mask_HW] = cv2.GC_PR_FGD
    trimap_HW[(cv2.erode((soft_HW > 0.7).astype(np.uint8), kernel) > 0) & flows.agree_HW] = cv2.GC_FGD
    found_HW = _cut_again(view, trimap_HW, thing)
    odds = thing.colours.odds(features_of(view.lab_HWC, part, thing.centre, thing.scale))
    inside = found_HW[part]
    alike = float((odds[inside] > 0).mean()) if inside.any() else 0.0
    confidence = alike * (0.5 + 0.5 * agree)
    if confidence < 0.25:
        found_HW = np.zeros_like(found_HW)
    sure = found_HW[part] & (odds > 0)
    share = thing.update(view, part, found_HW.astype(np.float32), sure, inside)
    return min(confidence, share / 0.5)


def _cut_again(view: View, trimap_HW: np.ndarray, thing: Thing) -> np.ndarray:
    """GrabCut with the thing's colour models, which go on learning."""
    sure = (cv2.GC_FGD, cv2.GC_PR_FGD)
    inside = np.isin(trimap_HW, sure)
    if inside.any() and not inside.all():
        outside_model, inside_model = thing.models
        mode = cv2.GC_EVAL if inside_model.any() else cv2.GC_INIT_WITH_MASK
        cv2.setRNGSeed(0)
        bgr_HWC = np.ascontiguousarray(view.rgb_HWC[..., ::-1])
        cv2.grabCut(bgr_HWC, trimap_HW, None, outside_model, inside_model, _ROUNDS, mode)
    return np.isin(trimap_HW, sure)


def _found_again(thing: Thing, view: View) -> float:
    """Look for a missing thing by its colours alone; its place is taken where a part of its size is like it."""
    part = thing.part(view.size, 1.6 + 0.3 * min(thing.missing, 20))
    nothing = np.zeros(part.shape, bool)
    soft_HW = np.zeros(view.size, np.float32)
    if min(part.shape) < 4:
        return min(thing.update(view, part, soft_HW, nothing, ~nothing), 0.0)
    odds = thing.colours.odds(features_of(view.lab_HWC, part, thing.centre, 8 * thing.scale))
    alike = (smoothed_odds(odds - 0.5, view.lab_HWC[part]) > 0.5).astype(np.uint8)
    _, parts, areas, _ = cv2.connectedComponentsWithStats(alike)
    best, score = 0, 0.0
    for number in range(1, len(areas)):
        area = float(areas[number, cv2.CC_STAT_AREA])
        if 0.25 * thing.area < area < 2 * thing.area:
            value = float(odds[parts == number].mean()) * min(area / thing.area, thing.area / area)
            best, score = (number, value) if value > score else (best, score)
    if score < 0.5:
        return min(thing.update(view, part, soft_HW, nothing, ~nothing), 0.0)
    soft_HW[part] = parts == best
    thing.update(view, part, soft_HW, nothing, ~nothing)
    return float(min(1.0, score / 2))


def _by_motion(thing: Thing, window: Window, flows: Flows, background: Background) -> float:
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
    kept = kept_parts(soft > 0.5, moving, thing.area)
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
    return np.clip(np.log(soft / (1 - soft)) * trust, -_CARRIED, _CARRIED)


def _outside_box(thing: Thing, part: Part) -> np.ndarray:
    """What is taken off the odds of pixels outside of the thing's box: 0 at 1.12 of its size, 3 at 1.32."""
    x = (np.arange(part.columns.start, part.columns.stop) - thing.centre[0]) / thing.size[0] * 2
    y = (np.arange(part.rows.start, part.rows.stop) - thing.centre[1]) / thing.size[1] * 2
    away = np.maximum(np.abs(x)[None, :], np.abs(y)[:, None])
    return 15 * np.clip(away - 1.12, 0, 1)


def kept_parts(mask: np.ndarray, moving: np.ndarray, area: float) -> np.ndarray:
    """A mask without specks, and without parts that are background on average."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8))
    areas = np.bincount(parts.ravel(), minlength=count)
    mean = np.bincount(parts.ravel(), moving.ravel(), minlength=count) / np.maximum(1, areas)
    kept = (areas >= max(6, _SPECK * area)) & (mean >= 0)
    kept[0] = False
    return kept[parts]
