"""VideoPainter: a backbone, a context encoder and, optionally, an ID adapter, wired for one forward pass.

    noisy, Condition ---> context encoder ---> hints ----+
    noisy (+ image) ----> backbone <--- InjectionExtension <----+   ResampleExtension <--- previous window

The three are separate objects; any CogVideoX of the right width (with any LoRA attached) plugs in.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.models.background_cache import HoleExtension, KeepingExtension, KeptBackground
from vp_jax.models.branch import Branch
from vp_jax.models.config import DEFAULT_INJECTION, Injection
from vp_jax.models.dit import DiT, DiTOutput, Extension, joint_numbers
from vp_jax.models.id_resample import Resample, ResampleExtension
from vp_jax.models.injection import InjectionExtension, joint_mask, masked_tokens


class Condition(NamedTuple):
    """What the networks know of the hole. Make it once per window or batch, with `of`.

    Attributes:
      masked_BThwC: scaled latents of the video with its holes filled.
      mask_BThw: latent mask, 1 = hole.
      tokens_BN: bool, True on video tokens with any masked cell.
    """

    masked_BThwC: jax.Array
    mask_BThw: jax.Array
    tokens_BN: jax.Array

    @classmethod
    def of(cls, masked_BThwC: jax.Array, mask_BThw: jax.Array, patch: int = 2) -> Condition:
        """The condition of latents for a backbone whose tokens are ``patch`` x ``patch`` cells."""
        return cls(masked_BThwC, mask_BThw, masked_tokens(mask_BThw, patch))

    def channels(self) -> jax.Array:
        """Masked latents and mask as one input of a network, (B, T, h, w, C + 1)."""
        return jnp.concatenate([self.masked_BThwC, self.mask_BThw[..., None]], axis=-1)


def predict(
    backbone: DiT,
    branch: Branch,
    noisy_BThwC: jax.Array,
    image_BThwC: jax.Array | None,
    condition: Condition,
    text_BME: jax.Array,
    t_B: jax.Array,
    *,
    injection: Injection = DEFAULT_INJECTION,
    resample: Resample | None = None,
    record_states: bool = False,
    room: int | None = None,
    keep: bool = False,
) -> DiTOutput:
    """One VideoPainter forward pass.

    Args:
      backbone: with every adapter attached.
      branch: the context encoder.
      noisy_BThwC: (B, T, h, w, 16) noisy latents.
      image_BThwC: (B, T, h, w, 16) image condition of I2V backbones, ``None`` for T2V.
      condition: masked video and mask; a backbone that ``takes_condition`` gets them too.
      text_BME: (B, M, text_dim) text embeddings.
      t_B: (B,) timesteps 0..999.
      injection: scale and variants of the hints.
      resample: extra keys of the ID adapter or of the previous window.
      record_states: return the states after every block in ``recorded`` (L, B, S, D).
      room: keep the states of this many tokens, the masked ones; see `vp_jax.models.id_resample.PreviousWindow`.
      keep: leave in ``kept`` what `predict_near` reads. Not with ``resample`` or states.

    Returns:
      Velocity (B, T, h, w, 16) and the recorded states or ``None``.
    """
    cfg, text_len, channels = backbone.cfg, text_BME.shape[1], condition.channels()
    latents = _backbone_input(backbone, noisy_BThwC, image_BThwC, condition)
    own: Extension = KeepingExtension(Extension()) if keep else Extension()
    hints_GBSD, kept = branch.hints(noisy_BThwC, channels, text_BME, t_B, own)
    stopped_BN = _stopped(condition, injection, cfg.patch)
    extension: Extension = InjectionExtension(
        hints_GBSD, stopped_BN, injection, layers=cfg.num_layers, text_len=text_len
    )
    if resample is not None or record_states:
        resample = resample or Resample(False, joint_mask(condition.tokens_BN, text_len))
        extension = ResampleExtension(extension, resample, record_states=record_states, room=room)
    if not keep:
        return backbone(latents, text_BME, t_B, extension=extension)
    out = backbone(latents, text_BME, t_B, extension=KeepingExtension(extension))
    return out._replace(kept=KeptBackground(out.kept, kept))


def predict_near(
    backbone: DiT,
    branch: Branch,
    noisy_BThwC: jax.Array,
    image_BThwC: jax.Array | None,
    condition: Condition,
    text_BME: jax.Array,
    t_B: jax.Array,
    background: KeptBackground,
    near_BP: jax.Array,
    *,
    injection: Injection = DEFAULT_INJECTION,
) -> jax.Array:
    """Velocity (B, T, h, w, 16) of the tokens near the hole, 0 elsewhere, see `vp_jax.models.background_cache`.

    Args:
      backbone: see `predict`, as for all arguments but two.
      branch: the context encoder.
      noisy_BThwC: noisy latents.
      image_BThwC: image condition.
      condition: masked video and mask.
      text_BME: text embeddings.
      t_B: timesteps.
      background: ``kept`` of the last call of `predict`.
      near_BP: numbers of the video tokens near the hole, N for none.
      injection: scale and variants of the hints.
    """
    cfg, text_len, channels = backbone.cfg, text_BME.shape[1], condition.channels()
    numbers_BP = joint_numbers(near_BP, text_len)
    seen = HoleExtension(Extension(), background.branch, numbers_BP)
    hints_GBPD, _ = branch.hints(noisy_BThwC, channels, text_BME, t_B, seen, near_BP)
    stopped_BP = jnp.take_along_axis(_stopped(condition, injection, cfg.patch), near_BP, axis=1, mode="clip")
    injected = InjectionExtension(hints_GBPD, stopped_BP, injection, layers=cfg.num_layers, text_len=text_len)
    extension = HoleExtension(injected, background.backbone, numbers_BP)
    latents = _backbone_input(backbone, noisy_BThwC, image_BThwC, condition)
    return backbone(latents, text_BME, t_B, extension=extension, only_BP=near_BP).sample


def _stopped(condition: Condition, injection: Injection, patch: int) -> jax.Array:
    """Video tokens that get no hints, bool (B, N), where ``injection`` does not give them to all."""
    if injection.tokens == "partial":
        return masked_tokens(condition.mask_BThw, patch, wholly=True)
    return condition.tokens_BN


def _backbone_input(
    backbone: DiT, noisy_BThwC: jax.Array, image_BThwC: jax.Array | None, condition: Condition
) -> jax.Array:
    """Noisy latents with what else is concatenated to them, ``in_channels`` channels."""
    inputs = [noisy_BThwC] if image_BThwC is None else [noisy_BThwC, image_BThwC]
    if backbone.cfg.takes_condition:
        inputs.append(condition.channels())
    return jnp.concatenate(inputs, axis=-1) if len(inputs) > 1 else noisy_BThwC
