"""Scenes of the flat look, each from a seed."""

from __future__ import annotations

import math

import numpy as np

from vp_jax.world.scene import (
    GROUND_COLOURS,
    Ground,
    Light,
    Scene,
    Thing,
    draw_motion,
    draw_words,
    overlap,
)

FLAT_GROUNDS = ("hills", "clouds", "stripes", "dots", "waves", "sky")


def flat_scene(seed: int) -> Scene:
    """Scene of a seed of 0 or more: one to three things of different shapes and colours."""
    rng = np.random.default_rng([7001, seed])
    kind, colour = FLAT_GROUNDS[rng.integers(len(FLAT_GROUNDS))], GROUND_COLOURS[rng.integers(len(GROUND_COLOURS))]
    pan, speed = rng.uniform(0, 2 * math.pi), rng.uniform(0.002, 0.008)
    ground = Ground(
        kind,
        colour,
        int(rng.integers(2**31)),
        speed * math.cos(pan),
        0.5 * speed * math.sin(pan),
        rng.uniform(-0.1, 0.1),
        rng.uniform(30, 60),
    )
    light = Light(rng.uniform(-2.6, -0.5), rng.uniform(0.03, 0.09), rng.uniform(30, 60))
    things: tuple[Thing, ...] = ()
    for _ in range(rng.choice([1, 2, 3], p=[0.4, 0.5, 0.1])):
        things += (flat_thing(rng, things),)
    return Scene(ground, light, things, "flat")


def flat_thing(rng: np.random.Generator, others: tuple[Thing, ...]) -> Thing:
    """Draw a thing that looks unlike the others and is mostly clear of them: the first such draw, or the best of 8."""
    words = draw_words(rng, others)
    draws: list[tuple[float, int, Thing]] = []
    for _ in range(8):
        thing = draw_motion(rng, *words, (0.21, 0.26))
        hidden = max((overlap(thing, other) for other in others), default=0.0)
        if hidden < 0.12:
            return thing
        draws.append((hidden, len(draws), thing))
    return min(draws)[2]
