"""Random draws of sampling: each has a name, so that tests can replace it with a stored draw.

A source is a pytree and may cross jit. The draws are ``image``, ``video``, ``initial``, ``masked`` and one per step.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp

DRAW_NAMES = ("image", "video", "initial", "masked")
"""Named draws of a window: image condition, background, noise of the first step, masked video."""


class NoiseSource(Protocol):
    """Standard normal draws by name."""

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Draw ``name``, one of `DRAW_NAMES`, float32."""
        ...

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        """Draw of denoising step ``index``, which may be traced, float32."""
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KeyNoise:
    """Draws from a PRNG key; the number of each name and step is folded into it."""

    key: jax.Array

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Draw ``name`` of `DRAW_NAMES`."""
        return jax.random.normal(jax.random.fold_in(self.key, DRAW_NAMES.index(name)), shape)

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        """Draw of denoising step ``index``."""
        return jax.random.normal(jax.random.fold_in(self.key, index + len(DRAW_NAMES)), shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FrameNoise:
    """Draws that belong to latent frames of the complete video: windows that share a frame share its noise.

    Attributes:
      key: PRNG key of the video.
      first: number of the window's first latent frame; an array, so that all windows run one program.
    """

    key: jax.Array
    first: jax.Array

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Draw ``name`` of `DRAW_NAMES`, of shape (B, T, ...)."""
        return self._draw(DRAW_NAMES.index(name), shape)

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        """Draw of denoising step ``index``, of shape (B, T, ...)."""
        return self._draw(index + len(DRAW_NAMES), shape)

    def _draw(self, number: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        key, (batch, frames, *rest) = jax.random.fold_in(self.key, number), shape
        keys_T = jax.vmap(jax.random.fold_in, (None, 0))(key, self.first + jnp.arange(frames))
        return jax.vmap(lambda key: jax.random.normal(key, (batch, *rest)), out_axes=1)(keys_T)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StoredNoise:
    """Stored draws: ``draws`` by name, ``steps`` with a leading step axis (``None`` for samplers without noise)."""

    draws: dict[str, jax.Array]
    steps: jax.Array | None = None

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Stored draw ``name``; its shape must be ``shape``."""
        draw = self.draws[name]
        if draw.shape != tuple(shape):
            raise ValueError(f"stored draw {name!r} has shape {draw.shape}, expected {tuple(shape)}")
        return draw

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        """Stored draw of step ``index``; its shape must be ``shape``."""
        if self.steps is None or self.steps.shape[1:] != tuple(shape):
            raise ValueError(f"no stored step draws of shape {tuple(shape)}")
        return jnp.asarray(self.steps)[index]
