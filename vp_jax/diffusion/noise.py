"""Injectable randomness of sampling: every draw has a name, so that a stored one can take its place.

A source is a pytree and may cross jit. Draws are ``image``, ``video``, ``initial``, ``masked`` and one per step.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp

NAMES = ("image", "video", "initial", "masked")


class NoiseSource(Protocol):
    """Standard normal draws by name."""

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Draw ``name`` (one of `NAMES`)."""
        ...

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        """Draw of denoising step ``index`` (may be traced)."""
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KeyNoise:
    """Draws from a PRNG key; each name and step folds its own number in."""

    key: jax.Array

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(self.key, NAMES.index(name)), shape)

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(self.key, index + len(NAMES)), shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StoredNoise:
    """Draws given as arrays: ``draws`` by name, ``steps`` with a leading step axis (or ``None`` if none are needed)."""

    draws: dict[str, jax.Array]
    steps: jax.Array | None = None

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        draw = self.draws[name]
        if draw.shape != tuple(shape):
            raise ValueError(f"stored draw {name!r} has shape {draw.shape}, needed {tuple(shape)}")
        return draw

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        if self.steps is None or self.steps.shape[1:] != tuple(shape):
            raise ValueError(f"no stored step draws of shape {tuple(shape)}")
        return jnp.asarray(self.steps)[index]
