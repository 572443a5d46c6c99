"""The networks as a sampler calls them: one forward pass over both prompts, then classifier-free guidance."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.diffusion.guidance import guide
from vp_jax.diffusion.steps import StepTable, row_at, velocity_to
from vp_jax.inference.models import Models, Params
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs
from vp_jax.models.background_cache import KeptBackground, places_near
from vp_jax.models.id_resample import PreviousWindow, Resample
from vp_jax.models.injection import joint_mask
from vp_jax.models.inpaint import Condition, predict, predict_near
from vp_jax.models.inpaint_channels import inpaint_input


class Near(NamedTuple):
    """A full or a hole step, see `vp_jax.inference.near_hole`.

    Attributes:
      room: places for the tokens near the hole.
      background: what the last full step left, for a hole step; ``None``: a full step.
    """

    room: int
    background: KeptBackground | None = None


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
      guided: with guidance, if the settings have it; otherwise the prompt alone. Recording takes both prompts.
      near: for full and hole steps; the background that hole steps read comes beside the velocity.
      clean: coefficients of all steps, where the networks predict clean values; ``None``: they predict the velocity.
    """

    models: Models
    params: Params
    settings: Settings
    scales_S: jax.Array
    inputs: WindowInputs
    record: bool = False
    room: int | None = None
    guided: bool = True
    near: Near | None = None
    clean: StepTable | None = None

    def __call__(self, x_BThwC: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, Any]:
        """Guided velocity (B, T, h, w, C), float32, and the recorded states or what `Near` says, or ``None``."""
        v, recorded = self.velocities(x_BThwC, timestep, index)
        return self.combined(v, index), recorded

    @property
    def both(self) -> bool:
        """The negative prompt goes through the networks too."""
        return self.settings.guided and (self.guided or self.record)

    def combined(self, v: jax.Array, index: jax.Array) -> jax.Array:
        """Guided velocity (B, ...), float32, from that of [negative, positive], or of the prompt alone."""
        scale = self.scales_S[index] if self.guided else jnp.float32(1)
        return guide(v, scale) if self.both else v

    def velocities(self, x_BThwC: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, Any]:
        """Velocities before guidance, of one or of both prompts along the batch, and the recorded states."""
        output, recorded = self._outputs(x_BThwC, timestep, index)
        if self.clean is None:
            return output, recorded
        return velocity_to(row_at(self.clean, index), doubled(x_BThwC, self.both), output), recorded

    def _outputs(self, x_BThwC: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, Any]:
        """What the networks predict, float32, before guidance, and the recorded states."""
        guided = self.both
        inputs = self.inputs if guided == self.settings.guided else _of_prompt(self.inputs)
        if inputs.latents.channels is not None:
            return self._of_channels(x_BThwC, timestep, inputs, guided), None
        x, image, condition = doubled((x_BThwC, inputs.latents.image_BThwC, inputs.latents.condition), guided)
        masked_BS = joint_mask(condition.tokens_BN, inputs.text_BME.shape[1])
        given = (x, image, condition, inputs.text_BME, jnp.full((x.shape[0],), timestep))
        if self.near is not None:
            return self._near(self.near, *given)
        out = predict(
            self.models.backbone(self.params),
            self.models.branch(self.params),
            *given,
            injection=self.settings.injection,
            resample=self._resample(masked_BS, index, inputs.previous),
            record_states=self.record,
            room=self.room,
        )
        return out.sample.astype(jnp.float32), out.recorded

    def _near(
        self,
        near: Near,
        x: jax.Array,
        image: jax.Array | None,
        condition: Condition,
        text_BME: jax.Array,
        t_B: jax.Array,
    ) -> tuple[jax.Array, KeptBackground]:
        """Velocity for each prompt of a full or a hole step, and the background that hole steps read."""
        networks = self.models.backbone(self.params), self.models.branch(self.params)
        injection = self.settings.injection
        if near.background is None:
            out = predict(*networks, x, image, condition, text_BME, t_B, injection=injection, keep=True)
            return out.sample.astype(jnp.float32), out.kept
        p, (_, T, h, w) = self.models.backbone_cfg.patch, condition.mask_BThw.shape
        near_BP = places_near(condition.tokens_BN, (T, h // p, w // p), near.room)
        v = predict_near(*networks, x, image, condition, text_BME, t_B, near.background, near_BP, injection=injection)
        return v.astype(jnp.float32), near.background

    def _of_channels(self, x_BThwC: jax.Array, timestep: jax.Array, inputs: WindowInputs, guided: bool) -> jax.Array:
        """Velocity for each prompt from a backbone that takes mask and video among its input channels."""
        kind, channels = self.models.inpaint_kind, inputs.latents.channels
        assert kind is not None and channels is not None
        x, (mask, video) = doubled((x_BThwC, channels), guided)
        latents, t_B = inpaint_input(kind, x, mask, video), jnp.full((x.shape[0],), timestep)
        return self.models.backbone(self.params)(latents, inputs.text_BME, t_B).sample.astype(jnp.float32)

    def _resample(self, masked_BS: jax.Array, index: jax.Array, previous: PreviousWindow | None) -> Resample | None:
        if previous is None and not self.models.has_id_adapter:
            return None
        if previous is not None and self.settings.mode == "reference":  # the original's fault, see `window`
            previous = PreviousWindow(previous.states_LBSD, jnp.where(index == 0, previous.masked_BS, masked_BS))
        return Resample(self.models.has_id_adapter, masked_BS, previous, self.settings.clip_weight)


@dataclasses.dataclass(frozen=True)
class CachedPredictor:
    """A predictor that may take the estimates of an earlier step in place of a pass through the networks.

    The estimates of both prompts are kept apart, so that a step guides them by its own scale. Where guidance is off,
    that of the negative prompt stays as it was.

    Attributes:
      predictor: of the step.
      table: coefficients of all steps.
      estimates: x_0 predictions of the prompts along the batch, those of an earlier step.
      reuse: take them; a traced value decides when the program runs.
    """

    predictor: GuidedPredictor
    table: StepTable
    estimates: jax.Array
    reuse: bool | jax.Array

    def __call__(self, x_BThwC: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Guided velocity (B, T, h, w, C), float32, and the estimates for the next step."""
        row, one = row_at(self.table, index), self.estimates.shape[0] // len(x_BThwC) == 1 or not self.predictor.both
        x = x_BThwC if one else jnp.concatenate([x_BThwC, x_BThwC])

        def kept() -> jax.Array:
            return self.estimates

        def computed() -> jax.Array:
            v, _ = self.predictor.velocities(x_BThwC, timestep, index)
            estimates = row.signal * x - row.sigma * v
            return jnp.concatenate([self.estimates[: -len(x)], estimates])

        if isinstance(self.reuse, bool):
            estimates = kept() if self.reuse else computed()
        else:
            estimates = jax.lax.cond(self.reuse, kept, computed)
        v = velocity_to(row, x, estimates[-len(x) :])
        return self.predictor.combined(v, index), estimates


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
        row, latents = row_at(self.table, index), self.predictor.inputs.latents
        known = velocity_to(row, x_BThwC, latents.video_BThwC)
        return jnp.where(latents.condition.mask_BThw[..., None] > 0, v, known), background


def _of_prompt(inputs: WindowInputs) -> WindowInputs:
    """The second half of [negative, positive]."""
    before, half = inputs.previous, len(inputs.text_BME) // 2
    if before is not None:
        before = PreviousWindow(before.states_LBSD[:, half:], before.masked_BS[half:])
    return inputs._replace(text_BME=inputs.text_BME[half:], previous=before)


def doubled(tree: Any, guided: bool) -> Any:
    """Arrays repeated along the batch for the negative and the positive prompt; unchanged without guidance."""
    return jax.tree.map(lambda a: jnp.concatenate([a, a]), tree) if guided else tree
