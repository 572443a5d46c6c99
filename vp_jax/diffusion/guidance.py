"""Classifier-free guidance: ``negative + g (positive - negative)``, batch ordered [negative, positive].

The dynamic scale of the released system is ``1 + g (1 - cos(pi ((S - t) / S) ** 5)) / 2`` where t is the TIMESTEP
(0..999) and S the number of steps. The argument of the cosine reaches 3e12, so the table is computed in float64
(docs/model.md, "Samplers").
"""

from __future__ import annotations

import jax
import numpy as np

from vp_jax.errors import UserError


def guidance_table(scale: float, timesteps: np.ndarray, *, dynamic: bool) -> np.ndarray:
    """Guidance scale of every step, float64, one value per timestep.

    Args:
      scale: guidance scale g.
      timesteps: int timesteps of the sampler, from 0 to 999.
      dynamic: the cosine schedule of the released system, instead of a constant.

    Raises:
      UserError: the scale is below 0.
    """
    if scale < 0:
        raise UserError(f"guidance {scale}: expected 0 or more (1 or less switches guidance off)")
    if not dynamic:
        return np.full(len(timesteps), scale, np.float64)
    steps = len(timesteps)
    phase = ((steps - timesteps.astype(np.float64)) / steps) ** 5.0
    return 1.0 + scale * (1.0 - np.cos(np.pi * phase)) / 2.0


def guide(pair: jax.Array, scale: jax.Array) -> jax.Array:
    """Guided prediction (B, ...) from a [negative, positive] batch (2B, ...)."""
    half = pair.shape[0] // 2
    negative, positive = pair[:half], pair[half:]
    return negative + scale * (positive - negative)
