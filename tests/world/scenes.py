"""Scenes made by hand, for tests of the drawn world."""

from typing import Any

import numpy as np

from vp_jax.world.scene import Ground, Light, Scene, Thing

TIMES = np.arange(0, 17, 4)


def still(**changes: Any) -> Thing:
    """A thing that hardly moves, in the middle."""
    values: dict[str, Any] = dict(
        shape="circle",
        colour="red",
        pattern="plain",
        motion="pulses",
        radius=0.2,
        x=0.0,
        y=0.0,
        dx=0.0,
        dy=0.0,
        period=16.0,
        phase=0.0,
        angle=0.0,
        turn=0.2,
        breathe=0.0,
        squash=0.0,
    )
    return Thing(**{**values, **changes})


def scene_of(*things: Thing, look: str = "flat") -> Scene:
    kind = {"flat": "clouds", "lit": "planks"}[look]
    return Scene(Ground(kind, "grey", 5, 0.0, 0.0, 0.0, 40.0), Light(-1.0, 0.0, 20.0), things, look)
