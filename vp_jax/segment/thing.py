"""What is known of a tracked thing: its last mask, its box and how it moves, its colours, and when it was lost."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from vp_jax.segment.background import Region
from vp_jax.segment.colours import Appearance, features_of, told_apart
from vp_jax.segment.views import View

LEAST_SHARE = 0.12
"""Share of its usual area below which a thing is out of sight."""
_USUAL, _LEARN = 0.6, 0.35
_TURN, _GROW = 0.15, 0.05
"""Most by which the box moves against its expected place and by which it grows in a frame, as shares of its size."""


@dataclasses.dataclass
class TrackedThing:
    """State of one thing after a frame.

    Attributes:
      soft_HW: probability of each pixel, float32.
      centre, size, velocity: of its box, x and y.
      area: its usual number of pixels.
      offset, stretch: of the prompted box against the outline of its mask there, so that the box keeps its meaning.
      apart: how well colours alone tell it from its surroundings, see `told_apart`.
      colours: samples of it.
      models: GrabCut's colour models, of the background and of the thing.
      missing: frames since it was seen.
    """

    soft_HW: np.ndarray
    centre: np.ndarray
    size: np.ndarray
    area: float
    offset: np.ndarray
    stretch: np.ndarray
    velocity: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    apart: float = 1.0
    colours: Appearance = dataclasses.field(default_factory=Appearance)
    models: tuple[np.ndarray, np.ndarray] = dataclasses.field(
        default_factory=lambda: (np.zeros((1, 65)), np.zeros((1, 65)))
    )
    missing: int = 0

    @classmethod
    def seen(cls, view: View, mask_HW: np.ndarray, box: Region | None, before: TrackedThing | None) -> TrackedThing:
        """The thing as it is in a prompted frame, with what was known before the prompt.

        Args:
          view: the frame.
          mask_HW: its pixels, bool.
          box: that was given; None: the mask's bounds.
          before: its track up to here.
        """
        low, high = _outline(mask_HW)
        given = box if box is not None else bounds(mask_HW)
        centre = np.array([given.columns.start + given.columns.stop, given.rows.start + given.rows.stop]) / 2
        size = np.maximum(1.0, np.array(given.shape[::-1], float))
        offset, stretch = (low + high) / 2 - centre, np.maximum(0.2, (high - low) / size)
        thing = cls(mask_HW.astype(np.float32), centre, size, float(mask_HW.sum()), offset, stretch)
        if before is not None:
            thing.velocity, thing.colours = before.velocity, before.colours
        part = thing.part(view.size)
        features = features_of(view.lab_HWC, part, centre, thing.scale)
        thing.colours.begin(features, mask_HW[part])
        thing.apart = told_apart(features, mask_HW[part])
        return thing

    @property
    def scale(self) -> float:
        """Geometric mean of the box's sides."""
        return float(np.sqrt(self.size.prod()))

    def part(self, picture: tuple[int, int], share: float = 1.35, margin: float = 4) -> Region:
        """The box grown to a share of its size and by a margin, inside the picture; empty if it left that."""
        half = self.size * share / 2 + margin
        low = np.maximum(0, np.floor(self.centre - half)).astype(int)
        high = np.minimum(picture[::-1], np.ceil(self.centre + half)).astype(int)
        return Region(slice(low[1], max(low[1], high[1])), slice(low[0], max(low[0], high[0])))

    def update(self, view: View, part: Region, soft_HW: np.ndarray, sure: np.ndarray, unsure: np.ndarray) -> float:
        """Take a frame's mask; the share of its usual area that is seen.

        Args:
          view: the frame.
          part: where was looked.
          soft_HW: probabilities.
          sure: pixels of the part to learn the thing's colours from.
          unsure: pixels of the part that are not surely around it.
        """
        mask_HW = soft_HW > 0.5
        share = float(mask_HW.sum()) / max(1.0, self.area)
        self.soft_HW = soft_HW.astype(np.float32)
        if share <= LEAST_SHARE:
            self.missing += 1
            self.velocity = self.velocity * 0.8
            return share
        self._move(mask_HW, share)
        self.missing = 0
        if share > _LEARN:
            self.colours.learn(features_of(view.lab_HWC, part, self.centre, self.scale), sure, ~unsure)
        return share

    def _move(self, mask_HW: np.ndarray, share: float) -> None:
        """Let the box follow the outline of the mask, all the less the smaller the part that is seen."""
        low, high = _outline(mask_HW)
        whole = share > _USUAL
        trust = 1.0 if whole else 0.3 * share / _USUAL
        away = (low + high) / 2 - self.offset - self.centre
        away = np.clip(away, -_TURN * self.size, _TURN * self.size) * (0.7 if whole else trust)
        if self.missing:
            away = (low + high) / 2 - self.offset - self.centre
        else:
            self.velocity = self.velocity + 0.4 * away
        self.centre = self.centre + away
        size = np.clip((high - low) / self.stretch, self.size * (1 - _GROW), self.size * (1 + _GROW))
        self.size = np.maximum(4.0, self.size + (size - self.size) * 0.3 * trust)
        if whole:
            self.area += 0.15 * (float(mask_HW.sum()) - self.area)


def bounds(mask_HW: np.ndarray) -> Region:
    """The smallest rectangle that holds a mask; empty for an empty mask."""
    x, y, width, height = cv2.boundingRect(mask_HW.astype(np.uint8))
    return Region(slice(y, y + height), slice(x, x + width))


def _outline(mask_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of a mask's bounds, x and y, without its outermost 3 % on each side."""
    rows, columns = np.nonzero(mask_HW)
    if not len(rows):
        return np.zeros(2), np.ones(2)
    places = np.stack([columns, rows], axis=-1)
    return np.percentile(places, 3, axis=0), np.percentile(places, 97, axis=0)
