"""What every stage that learns to denoise latents shares: its random draws and its loss (model facts, section 6).

t ~ uniform{0 .. 999},  noise ~ N(0, 1),  x_t = a x_0 + s noise
loss = mean_B [ w_t mean((x0_pred - x_0)^2) + lambda w_t mean((m x0_pred - m x_0)^2) ]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vp_jax import trees
from vp_jax.diffusion import predict
from vp_jax.diffusion.loss import InpaintingLoss, inpainting_loss
from vp_jax.diffusion.schedule import Schedule
from vp_jax.training.encode import Encoders

Batch = Mapping[str, jax.Array]
"""What a step trains on, all float, latents scaled as the transformer sees them:

``latents_BThwC`` clean video, ``masked_latents_BThwC`` the video with black holes, ``mask_BThw`` 1 = hole,
``text_BMD`` embeddings and, for I2V backbones, ``image_latents_BThwC``: the first frame followed by zeros (all zeros
where the image is dropped). The backbone stage has ``input_ids`` and neither text nor masked video, the VAE stage
``pixels_BFHWC`` alone.
"""


class StepKeys(NamedTuple):
    """The named keys of one step; each is used once."""

    timestep: jax.Array
    noise: jax.Array
    encode: jax.Array


class Draws(NamedTuple):
    """Random numbers of a step: timesteps int32 (B,), noise like the latents, float32."""

    t_B: jax.Array
    noise_BThwC: jax.Array


def draw(keys: StepKeys, shape: tuple[int, ...], num_timesteps: int) -> Draws:
    """Timesteps, uniform for each example, and noise for latents of ``shape``."""
    return Draws(
        jax.random.randint(keys.timestep, shape[:1], 0, num_timesteps),
        jax.random.normal(keys.noise, shape, jnp.float32),
    )


class Denoiser:
    """Base of the stages that predict a velocity: subclasses say which models do."""

    def velocity(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch, t_B: jax.Array
    ) -> jax.Array:
        """Predicted velocity (B, T, h, w, C)."""
        raise TypeError(f"{type(self).__name__} predicts no velocity")

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: Mapping[str, Any], key: jax.Array
    ) -> dict[str, jax.Array]:
        """The step's batch from the loader's."""
        return encoders.encode(weights, batch, key)

    def draw(self, keys: StepKeys, batch: Batch, schedule: Schedule) -> Draws:
        """Random numbers of a step."""
        return draw(keys, batch["latents_BThwC"].shape, schedule.num_timesteps)

    def loss(
        self, trainable: trees.Tree, frozen: trees.Tree, batch: Batch, draws: Draws, schedule: Schedule
    ) -> InpaintingLoss:
        """Loss of every example."""
        x0 = batch["latents_BThwC"].astype(jnp.float32)
        abar_B = jnp.asarray(schedule.abar, jnp.float32)[draws.t_B]
        x_t = predict.add_noise(x0, draws.noise_BThwC, abar_B)
        v = self.velocity(trainable, frozen, x_t, batch, draws.t_B)
        return inpainting_loss(x_t, v, x0, batch["mask_BThw"], abar_B)
