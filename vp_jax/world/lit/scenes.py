"""Scenes of the lit look, each from a seed: smaller things than in the flat look, and more that pass behind others."""

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

LIT_GROUNDS = ("hills", "tiles", "planks", "bricks", "checks")
CLEAR, CROSSING = (0.0, 0.08), (0.08, 0.28)
"""Part of a thing that others hide, at least and at most: of one that keeps clear of them, and of one that does not."""


def lit_scene(seed: int) -> Scene:
    """Scene of a seed of 0 or more: one to three things of different shapes and colours."""
    rng = np.random.default_rng([7011, seed])
    kind, colour = LIT_GROUNDS[rng.integers(len(LIT_GROUNDS))], GROUND_COLOURS[rng.integers(len(GROUND_COLOURS))]
    pan, speed = rng.uniform(0, 2 * math.pi), rng.uniform(0.004, 0.012)
    ground = Ground(
        kind,
        colour,
        int(rng.integers(2**31)),
        speed * math.cos(pan),
        0.5 * speed * math.sin(pan),
        rng.uniform(-0.08, 0.08),
        rng.uniform(40, 70),
    )
    light = Light(rng.uniform(-2.5, -0.64), rng.uniform(0.02, 0.05), rng.uniform(30, 60))
    things: tuple[Thing, ...] = ()
    for _ in range(1 + int(rng.integers(4) > 0) + int(rng.integers(4) > 2)):
        things += (lit_thing(rng, things),)
    return Scene(ground, light, things, "lit")


def lit_thing(rng: np.random.Generator, others: tuple[Thing, ...]) -> Thing:
    """Draw a thing that looks unlike the others: half of them pass in front of another one, half keep clear.

    It is the first of 12 draws that does what it should, or the one that comes closest.
    """
    words = draw_words(rng, others)
    least, most = CROSSING if others and rng.integers(2) else CLEAR
    draws: list[tuple[float, int, Thing]] = []
    for _ in range(12):
        thing = draw_motion(rng, *words, (0.18, 0.235))
        hidden = max((overlap(thing, other, 17) for other in others), default=0.0)
        away = max(least - hidden, hidden - most, 0.0)
        if away == 0:
            return thing
        draws.append((away, len(draws), thing))
    return min(draws)[2]
