"""Steps that compute the hole and its surroundings alone: what they need, what they cannot be, their predictor.

With `Settings.background_every` k, steps 0, k, 2 k ... are full steps; those between them are hole steps, see
`vp_jax.models.background_cache`. The sampler puts the source's latents back outside the hole after every step, so that
what a hole step does not predict is never read.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings

if TYPE_CHECKING:  # files are checked without JAX
    from vp_jax.diffusion.steps import StepTable
    from vp_jax.inference.guided import GuidedPredictor
    from vp_jax.inference.models import Models
    from vp_jax.models.background_cache import KeptBackground


def check_model(models: Models, settings: Settings, devices: int = 1) -> None:
    """Check that a model can take hole steps, if the settings ask for them.

    Raises:
      UserError: it has no context encoder, an ID adapter, or is divided over devices.
    """
    if settings.background_every == 1:
        return
    reason = ""
    if models.branch_cfg is None:
        reason = "for this model, which has no context encoder"
    elif models.has_id_adapter:
        reason = "with an ID adapter, whose keys are not kept; it can be left off"
    elif devices > 1:
        reason = f"on a mesh of {devices} devices"
    if reason:
        raise UserError(f"background_every {settings.background_every}: expected 1 {reason}")


@dataclasses.dataclass(frozen=True)
class NearPredictor:
    """Velocity of a full or a hole step; call it as `vp_jax.diffusion.sampler.PredictFn`.

    Outside the hole the velocity is the one that leads to the source's latents, which are known.

    Attributes:
      predictor: with `GuidedPredictor.near`.
      table: coefficients of all steps.
    """

    predictor: GuidedPredictor
    table: StepTable

    def __call__(self, x_BThwC: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, KeptBackground]:
        """Guided velocity (B, T, h, w, C), float32, and what the last full step left."""
        v, background = self.predictor(x_BThwC, timestep, index)
        latents, signal, sigma = (
            self.predictor.inputs.latents,
            *(jnp.asarray(column)[index] for column in (self.table.signal, self.table.sigma)),
        )
        known = (signal * x_BThwC - latents.video_BThwC) / sigma
        return jnp.where(latents.condition.mask_BThw[..., None] > 0, v, known), background
