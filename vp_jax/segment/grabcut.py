"""The default backend: GrabCut in the prompted frame, carried on by optical flow; needs no weights.

See `vp_jax.segment.cutting` for the prompted frame and `vp_jax.segment.following` for all others. Frames are read nine
ahead, so that the background behind a thing may be seen. What it reaches and where it fails stands in docs/masks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vp_jax.errors import UserError
from vp_jax.segment.background import REACH, Background, Region
from vp_jax.segment.colour_words import box_of_words
from vp_jax.segment.cutting import first_cut
from vp_jax.segment.flow import flows_between
from vp_jax.segment.following import TOLD_APART, follow, kept_parts
from vp_jax.segment.prompts import AnyPrompt, Box, Placed, Words, described, scaled, things_of
from vp_jax.segment.results import Tracked
from vp_jax.segment.smoothing import smoothed_odds
from vp_jax.segment.thing import TrackedThing
from vp_jax.segment.views import View, Window, with_neighbours

LEAST_CONFIDENCE = 0.25
"""Confidence below which a thing is lost."""


class GrabCut:
    """See the top of this file and `vp_jax.segment.results.Backend`."""

    def track(self, frames: Iterable[np.ndarray], prompts: Sequence[AnyPrompt]) -> Iterator[Tracked]:
        """See `vp_jax.segment.results.Backend`.

        Raises:
          UserError: words without a colour, see `vp_jax.segment.colour_words`, or a prompt that marks nothing.
        """
        placed = [prompt for prompt in prompts if not isinstance(prompt, Words)]
        words = [prompt for prompt in prompts if isinstance(prompt, Words)]
        things: dict[int, TrackedThing] = {}
        background = Background()
        for window in with_neighbours(frames, REACH):
            now, before = window.now, window.views.get(window.now.number - 1)
            sure: dict[int, float] = {}
            if things and before is not None:
                flows = flows_between(now.grey_HW, before.grey_HW)
                sure = {name: follow(thing, window, flows, background) for name, thing in things.items()}
            if now.number == 0:
                placed += [_box_of_named(named, now) for named in words]
            here = [scaled(prompt, now.scale, now.size) for prompt in placed if prompt.frame == now.number]
            for name in things_of(here):
                things[name], sure[name] = _prompted(name, here, window, background, things.get(name)), 1.0
            yield _result(now, things, sure)


def _prompted(
    name: int, here: Sequence[Placed], window: Window, background: Background, before: TrackedThing | None
) -> TrackedThing:
    """A thing in a frame with prompts of it."""
    own = [prompt for prompt in here if prompt.thing == name]
    others = [prompt for prompt in here if prompt.thing != name]
    known_HW = before.soft_HW > 0.5 if before is not None and not before.missing else None
    mask_HW = first_cut(window.now.rgb_HWC, own, others, known_HW)
    if not mask_HW.any():
        given = scaled(own[-1], 1 / window.now.scale, window.now.full_size)
        raise UserError(f"{described(given)}: nothing in it stands out from what is around; give points or a mask")
    box = _box_of(own, window.now.size)
    thing = TrackedThing.seen(window.now, mask_HW, box, before)
    if box is not None and thing.apart < TOLD_APART and len(own) == 1:
        mask_HW = _with_motion(window, box, mask_HW, background)
        thing = TrackedThing.seen(window.now, mask_HW, box, before)
        thing.apart = 0.0
    return thing


def _box_of_named(named: Words, view: View) -> Placed:
    """The box of what words name, in pixels of the original frame."""
    return scaled(box_of_words(named.text, view.rgb_HWC, view.number, named.thing), 1 / view.scale, view.full_size)


def _box_of(prompts: Sequence[Placed], size: tuple[int, int]) -> Region | None:
    """The last box of some prompts, inside the picture."""
    for prompt in reversed(prompts):
        if isinstance(prompt, Box):
            rows = slice(max(0, round(prompt.y)), min(size[0], round(prompt.y + prompt.height)))
            columns = slice(max(0, round(prompt.x)), min(size[1], round(prompt.x + prompt.width)))
            return Region(rows, columns)
    return None


def _with_motion(window: Window, box: Region, mask_HW: np.ndarray, background: Background) -> np.ndarray:
    """The mask in a box, from GrabCut's mask and from what the next frames show of the background."""
    around_HW = np.zeros(mask_HW.shape, bool)
    around_HW[box.grown(4, mask_HW.shape)] = True
    moving = background.evidence(window, box, around_HW, mask_HW)
    odds = moving + np.where(mask_HW[box], 1.5, -1.0)
    soft, same = smoothed_odds(odds, window.now.lab_HWC[box]), np.ones_like(moving)
    found = kept_parts(soft > 0.5, same, same, float(mask_HW.sum()))
    if found.sum() < 0.2 * mask_HW.sum():
        return mask_HW
    out_HW = np.zeros_like(mask_HW)
    out_HW[box] = found
    return out_HW


def _result(view: View, things: dict[int, TrackedThing], sure: dict[int, float]) -> Tracked:
    labels_HW = np.zeros(view.full_size, np.uint8)
    lost = frozenset(name for name, value in sure.items() if value < LEAST_CONFIDENCE or things[name].missing)
    for name in sorted(sure, key=lambda name: sure[name]):
        if name not in lost:
            labels_HW[view.enlarged(things[name].soft_HW)] = name
    confidence = {name: 0.0 if things[name].missing else float(min(1.0, value)) for name, value in sure.items()}
    return Tracked(view.number, labels_HW, confidence, lost)
