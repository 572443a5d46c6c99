"""VideoPainter: a backbone, a context encoder and, optionally, an ID adapter, wired for one forward pass.

    noisy, condition ---> context encoder ---> hints --+
    noisy (+ image) ----> backbone <--- Injection <----+   ResampleExtension <--- previous window

The three are separate objects; any CogVideoX of the right width (with any LoRA attached) plugs in.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from vp_jax.models.branch import Branch
from vp_jax.models.config import HintTokens
from vp_jax.models.dit import DiT, DiTOutput, Extension
from vp_jax.models.id_resample import Resample, ResampleExtension
from vp_jax.models.injection import Injection, Schedule, masked_tokens


@dataclasses.dataclass(frozen=True)
class InjectionSettings:
    """Scale and ablation variants of the injection, see `vp_jax.models.injection`."""

    scale: float = 1.0
    schedule: Schedule = "grouped"
    tokens: HintTokens = "background"


def predict(
    backbone: DiT,
    branch: Branch,
    noisy_BThwC: jax.Array,
    image_BThwC: jax.Array | None,
    condition_BThwC: jax.Array,
    text_BME: jax.Array,
    t_B: jax.Array,
    *,
    injection: InjectionSettings = InjectionSettings(),
    resample: Resample | None = None,
    record_states: bool = False,
) -> DiTOutput:
    """One VideoPainter forward pass.

    Args:
      noisy_BThwC: (B, T, h, w, 16) noisy latents.
      image_BThwC: (B, T, h, w, 16) image condition of I2V backbones, ``None`` for T2V.
      condition_BThwC: (B, T, h, w, 17) masked-video latents and latent mask (1 = hole); a backbone with room for them
        (`vp_jax.training.stages.single_branch`) takes them too.
      text_BME: (B, M, text_dim).
      t_B: (B,) timesteps.
      injection: scale and variants.
      resample: extra keys of the ID adapter or of the previous window.
      record_states: return the states after every block in ``recorded`` (L, B, S, D).

    Returns:
      Velocity (B, T, h, w, 16) and the recorded states or ``None``.
    """
    text_len = text_BME.shape[1]
    mask_BThw, patch = condition_BThwC[..., -1], backbone.cfg.patch
    masked_BN = masked_tokens(mask_BThw, patch)
    stopped_BN = masked_tokens(mask_BThw, patch, wholly=True) if injection.tokens == "partial" else masked_BN
    hints_GBSD = branch.joint_hints(noisy_BThwC, condition_BThwC, text_BME, t_B)
    extension: Extension = Injection(
        hints_GBSD,
        stopped_BN,
        layers=backbone.cfg.num_layers,
        text_len=text_len,
        scale=injection.scale,
        schedule=injection.schedule,
        tokens=injection.tokens,
    )
    if resample is not None or record_states:
        resample = resample or Resample(False, jnp.pad(masked_BN, ((0, 0), (text_len, 0))))
        extension = ResampleExtension(extension, resample, record_states=record_states)
    latents = noisy_BThwC if image_BThwC is None else jnp.concatenate([noisy_BThwC, image_BThwC], axis=-1)
    if backbone.cfg.in_channels == latents.shape[-1] + condition_BThwC.shape[-1]:
        latents = jnp.concatenate([latents, condition_BThwC], axis=-1)
    return backbone(latents, text_BME, t_B, extension=extension)
