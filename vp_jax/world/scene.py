"""Scenes of the drawn world: their description, the paths of their things, and their captions.

A scene consists of words and numbers. Lengths are in frame heights, (0, 0) is the middle of the picture, x grows to the
right and y down; pictures are 3:2, so the corners are at (+-0.75, +-0.5). Times are frames at 8 per second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "heart", "ring", "cross", "moon")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
PATTERNS = ("plain", "striped", "spotted")
MOTIONS = ("bounces", "orbits", "sways", "hops", "spins", "pulses")
GROUND_COLOURS = ("grey", "cream", "brown", "navy", "mint", "lilac")
MAX_THINGS = 3
HALF_WIDTH, HALF_HEIGHT = 0.75, 0.5
_ROUND = ("circle", "ring")
_THIN = ("ring", "cross", "moon", "star")


@dataclass(frozen=True)
class Thing:
    """One moving object.

    Attributes:
      shape: one of `SHAPES`.
      colour: one of `COLOURS`.
      pattern: one of `PATTERNS`.
      motion: one of `MOTIONS`.
      radius: radius of the disc around it.
      x: where it starts (bounces), or the middle of its path.
      y: the same, downwards.
      dx: velocity per frame (bounces), or largest distance from the middle.
      dy: the same, downwards.
      period: frames of one cycle of its motion.
      phase: where the cycle begins, in radians.
      angle: its angle, in radians.
      turn: radians per frame (spins).
      breathe: relative change of its size.
      squash: relative change of its proportions.
    """

    shape: str
    colour: str
    pattern: str
    motion: str
    radius: float
    x: float
    y: float
    dx: float
    dy: float
    period: float
    phase: float
    angle: float
    turn: float
    breathe: float
    squash: float


@dataclass(frozen=True)
class Ground:
    """The background.

    Attributes:
      kind: one of the backgrounds of the scene's look.
      colour: one of `GROUND_COLOURS`.
      seed: chooses its pattern.
      pan_x: movement of the camera per frame, to the right.
      pan_y: the same, downwards.
      zoom: relative change of its size.
      zoom_period: frames of one cycle of the zoom.
    """

    kind: str
    colour: str
    seed: int
    pan_x: float
    pan_y: float
    zoom: float
    zoom_period: float


@dataclass(frozen=True)
class Light:
    """Light from ``angle`` in radians, whose strength swings by ``swing`` every ``period`` frames."""

    angle: float
    swing: float
    period: float


@dataclass(frozen=True)
class Scene:
    """Background, light, and things from back to front: a later thing hides an earlier one.

    ``look`` is the name in `vp_jax.world.looks.LOOKS` of the way in which it is drawn.
    """

    ground: Ground
    light: Light
    things: tuple[Thing, ...]
    look: str = "lit"


@dataclass(frozen=True)
class Pose:
    """Position, angle and size of a thing at each time; sizes are along its own axes, in units of its radius."""

    x_F: np.ndarray
    y_F: np.ndarray
    angle_F: np.ndarray
    wide_F: np.ndarray
    tall_F: np.ndarray


def pose(thing: Thing, times_F: np.ndarray) -> Pose:
    """Pose of a thing at these times, in frames."""
    times_F = np.asarray(times_F, np.float64)
    swing_F = 2 * math.pi * times_F / thing.period + thing.phase
    x_F = y_F = np.zeros_like(swing_F)
    if thing.motion == "bounces":
        x_F = _between_walls(thing.x + thing.dx * times_F, HALF_WIDTH - 0.9 * thing.radius)
        y_F = _between_walls(thing.y + thing.dy * times_F, HALF_HEIGHT - 0.9 * thing.radius)
    elif thing.motion == "orbits":
        x_F, y_F = thing.x + thing.dx * np.cos(swing_F), thing.y + thing.dy * np.sin(swing_F)
    elif thing.motion == "hops":
        x_F, y_F = thing.x + thing.dx * np.sin(swing_F / 3), thing.y - thing.dy * np.abs(np.sin(swing_F / 2))
    else:
        x_F, y_F = thing.x + thing.dx * np.sin(swing_F), thing.y + thing.dy * np.cos(2 * swing_F)
    rock_F = thing.turn * times_F if thing.motion == "spins" else 0.22 * np.sin(swing_F + 0.6)
    size_F, squash_F = 1 + thing.breathe * np.sin(swing_F), thing.squash * np.cos(swing_F)
    return Pose(x_F, y_F, thing.angle + rock_F, size_F * (1 + squash_F), size_F * (1 - squash_F))


def _between_walls(along_F: np.ndarray, wall: float) -> np.ndarray:
    """Reflect a straight path at -wall and wall."""
    return np.abs((along_F - wall) % (4 * wall) - 2 * wall) - wall


def fits(shape: str, pattern: str, motion: str) -> bool:
    """Whether all three words are visible: a plain disc cannot be seen to spin, thin shapes have no room for spots."""
    return not (motion == "spins" and shape in _ROUND and pattern == "plain") and not (
        pattern == "spotted" and shape in _THIN
    )


def overlap(front: Thing, back: Thing, frames: int = 34) -> float:
    """Approximate part of ``back`` that is behind ``front``, 0 to 1, over ``frames`` frames."""
    times_F = np.linspace(0, frames, 12)
    a, b = pose(front, times_F), pose(back, times_F)
    apart_F = np.hypot(a.x_F - b.x_F, a.y_F - b.y_F) / (0.9 * (front.radius + back.radius))
    return float(np.clip(1.2 * (1 - apart_F), 0, 1).mean())


def draw_words(rng: np.random.Generator, others: tuple[Thing, ...]) -> tuple[str, str, str, str]:
    """Draw shape, colour, pattern and motion of a thing that shares neither shape nor colour with the others."""
    shapes = [shape for shape in SHAPES if shape not in {other.shape for other in others}]
    colours = [colour for colour in COLOURS if colour not in {other.colour for other in others}]
    shape, colour = shapes[rng.integers(len(shapes))], colours[rng.integers(len(colours))]
    looks = [(pattern, motion) for pattern in PATTERNS for motion in MOTIONS if fits(shape, pattern, motion)]
    return shape, colour, *looks[rng.integers(len(looks))]


def draw_motion(
    rng: np.random.Generator, shape: str, colour: str, pattern: str, motion: str, radii: tuple[float, float]
) -> Thing:
    """Draw a thing with these words: a radius between ``radii`` and a random path that stays in the picture."""
    radius = rng.uniform(*radii)
    reach_x, reach_y = {
        "bounces": (0.0, 0.0),
        "orbits": (0.34, 0.16),
        "sways": (0.4, 0.02),
        "hops": (0.3, 0.2),
        "spins": (0.2, 0.05),
        "pulses": (0.2, 0.05),
    }[motion]
    reach_x, reach_y = reach_x * rng.uniform(0.75, 1.1), reach_y * rng.uniform(0.75, 1.1)
    room_x = max(0.0, HALF_WIDTH - 0.95 * radius - reach_x)
    room_y = max(0.0, HALF_HEIGHT - 0.95 * radius - reach_y)
    x, y = rng.uniform(-room_x, room_x), rng.uniform(-room_y, room_y)
    if motion == "hops":
        y = rng.uniform(HALF_HEIGHT - radius - 0.1, HALF_HEIGHT - 0.95 * radius)
    if motion == "bounces":
        way, speed = rng.uniform(0, 2 * math.pi), rng.uniform(0.028, 0.042)
        reach_x, reach_y = speed * math.cos(way), speed * math.sin(way)
    period = rng.uniform(26, 38) if motion in ("hops", "pulses") else rng.uniform(34, 46)
    return Thing(
        shape,
        colour,
        pattern,
        motion,
        radius,
        x,
        y,
        reach_x,
        reach_y,
        period,
        rng.uniform(0, 2 * math.pi),
        rng.uniform(-0.2, 0.2),
        float(rng.choice([-1, 1])) * rng.uniform(0.05, 0.09),
        0.2 if motion == "pulses" else 0.03,
        0.05,
    )


def thing_caption(scene: Scene, thing: int) -> str:
    """Caption of one thing: "a red striped circle"."""
    return _words(scene.things[thing])


def caption(scene: Scene) -> str:
    """Caption of a scene from back to front: at most 20 words, all of `vp_jax.world.looks.caption_words`."""
    things = " and ".join(f"{_words(thing)} {thing.motion}" for thing in scene.things)
    ground = f"{scene.ground.colour} {scene.ground.kind}"
    return f"{things} over {ground}" if things else ground


def _words(thing: Thing) -> str:
    article = "an" if thing.colour[0] in "aeiou" else "a"
    words = (article, thing.colour, *((thing.pattern,) if thing.pattern != "plain" else ()), thing.shape)
    return " ".join(words)
