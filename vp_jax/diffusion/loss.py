"""Training loss of VideoPainter for each example (docs/model.md, "Training objective"; golden ``train_loss.npz``).

    x0_pred = a x_t - s v,   w = 1 / (1 - abar_t)
    loss    = mean(w (x0_pred - x0)^2) + lambda mean(w (m x0_pred - m x0)^2)

Both means run over ALL elements (the second is not divided by the mask area); m is the latent mask, 1 = hole.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.diffusion import predict


class InpaintingLoss(NamedTuple):
    """Per-example means, float32.

    Attributes:
      whole_B: of the error everywhere.
      hole_B: of the error in the hole, divided by the number of ALL elements.
    """

    whole_B: jax.Array
    hole_B: jax.Array

    def total(self, hole_weight: float = 1.0) -> jax.Array:
        """``whole + hole_weight * hole`` (B,)."""
        return self.whole_B + hole_weight * self.hole_B


def inpainting_loss(
    x_t: jax.Array, v: jax.Array, x0: jax.Array, mask_BThw: jax.Array, abar_B: jax.Array
) -> InpaintingLoss:
    """Loss of each example.

    Args:
      x_t: (B, T, h, w, C) noisy latents.
      v: (B, T, h, w, C) predicted velocity.
      x0: (B, T, h, w, C) clean latents.
      mask_BThw: latent mask, 1 = hole.
      abar_B: signal power at the timestep of each example, below 1.
    """
    x_t, v, x0, mask = (a.astype(jnp.float32) for a in (x_t, v, x0, mask_BThw))
    squared = jnp.square(predict.x0_from_velocity(x_t, v, abar_B) - x0)
    weight_B = 1.0 / (1.0 - abar_B.astype(jnp.float32))
    axes = tuple(range(1, x0.ndim))
    whole = weight_B * squared.mean(axis=axes)
    hole = weight_B * (jnp.square(mask)[..., None] * squared).mean(axis=axes)
    return InpaintingLoss(whole, hole)


def min_snr_weight(abar_B: jax.Array, gamma: float) -> jax.Array:
    """Weights (B,) of the velocity error, ``min(SNR, gamma) / (SNR + 1)`` (arXiv 2303.09556, section 3.4).

    With SNR = abar / (1 - abar) this is ``min(abar, gamma (1 - abar))``: it lowers the weight of low noise, where
    details are learned, and goes to 0 at pure noise.

    Args:
      abar_B: signal power at the timestep of each example.
      gamma: largest SNR that counts; 5 in the paper.
    """
    return jnp.minimum(abar_B, gamma * (1.0 - abar_B))
