"""The networks as a sampler calls them: one forward pass over both prompts, then classifier-free guidance."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from vp_jax.diffusion.guidance import guide
from vp_jax.inference.models import Models, Params
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs
from vp_jax.models.id_resample import PreviousWindow, Resample
from vp_jax.models.injection import joint_mask
from vp_jax.models.inpaint import predict


@dataclasses.dataclass(frozen=True)
class GuidedPredictor:
    """Velocity of the latents of one window; call it as `vp_jax.diffusion.sampler.PredictFn`.

    Attributes:
      models, params: the networks.
      settings: guidance, clip weight, injection, mode.
      scales_S: guidance of every step, float32.
      inputs: what the window's steps share.
      record: return the states after every block (L, B, S, D) beside the velocity.
      room: of this many tokens, the masked ones; ``None``: of all.
    """

    models: Models
    params: Params
    settings: Settings
    scales_S: jax.Array
    inputs: WindowInputs
    record: bool = False
    room: int | None = None

    def __call__(self, x_BThwC: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, Any]:
        """Guided velocity (B, T, h, w, C), float32, and the recorded states or ``None``."""
        inputs, guided = self.inputs, self.settings.guided
        x, image, condition = doubled((x_BThwC, inputs.latents.image_BThwC, inputs.latents.condition), guided)
        masked_BS = joint_mask(condition.tokens_BN, inputs.text_BME.shape[1])
        out = predict(
            self.models.backbone(self.params),
            self.models.branch(self.params),
            x,
            image,
            condition,
            inputs.text_BME,
            jnp.full((x.shape[0],), timestep),
            injection=self.settings.injection,
            resample=self._resample(masked_BS, index),
            record_states=self.record,
            room=self.room,
        )
        v = out.sample.astype(jnp.float32)
        return (guide(v, self.scales_S[index]) if guided else v), out.recorded

    def _resample(self, masked_BS: jax.Array, index: jax.Array) -> Resample | None:
        previous = self.inputs.previous
        if previous is None and not self.models.has_id_adapter:
            return None
        if previous is not None and self.settings.mode == "reference":  # the original's fault, see `window`
            previous = PreviousWindow(previous.states_LBSD, jnp.where(index == 0, previous.masked_BS, masked_BS))
        return Resample(self.models.has_id_adapter, masked_BS, previous, self.settings.clip_weight)


def doubled(tree: Any, guided: bool) -> Any:
    """Arrays repeated along the batch for the negative and the positive prompt; unchanged without guidance."""
    return jax.tree.map(lambda a: jnp.concatenate([a, a]), tree) if guided else tree
