"""Input channels of transformers that are conditioned by concatenation: CogVideoX-Fun-InP and VOID.

``fun_inp``: ``[noisy 16 | mask 1 | masked video 16]``; the mask is the scaling factor where the video is kept and 0 in
the hole, which is black in the masked video. ``void``: ``[noisy 16 | quad mask 16 | video 16]``, where the VAE encodes
the quad mask as a grey video, see `vp_jax.media.quadmask`, and the video as it is. Encodings are the VAE's means, times
its scaling factor.
"""

from __future__ import annotations

from typing import Literal

import chex
import jax
import jax.numpy as jnp

from vp_jax.models.config import DiTConfig

InpaintKind = Literal["fun_inp", "void"]
"""Kinds of conditioning, by the name of the part that ``vp-jax convert one`` makes of such a transformer."""


def inpaint_kind(cfg: DiTConfig) -> InpaintKind | None:
    """What a backbone is conditioned on, by the number of its input channels; ``None`` for other backbones."""
    if cfg.takes_condition:
        return None
    counts: dict[int, InpaintKind] = {2 * cfg.out_channels + 1: "fun_inp", 3 * cfg.out_channels: "void"}
    return counts.get(cfg.in_channels)


def fun_inp_input(noisy_BThwC: jax.Array, mask_BThw1: jax.Array, masked_BThwC: jax.Array) -> jax.Array:
    """Input of CogVideoX-Fun-InP, (B, T, h, w, 2 C + 1).

    Args:
      noisy_BThwC: noisy latents.
      mask_BThw1: the scaling factor where the video is kept, 0 in the hole, on the latent grid.
      masked_BThwC: latents of the video without the hole, scaled.
    """
    chex.assert_equal_shape([noisy_BThwC, masked_BThwC])
    return _joined(noisy_BThwC, mask_BThw1, masked_BThwC)


def void_input(noisy_BThwC: jax.Array, quad_BThwC: jax.Array, video_BThwC: jax.Array) -> jax.Array:
    """Input of VOID, (B, T, h, w, 3 C).

    Args:
      noisy_BThwC: noisy latents.
      quad_BThwC: latents of the quad mask, scaled.
      video_BThwC: latents of the source video, scaled; VOID sees what it removes.
    """
    chex.assert_equal_shape([noisy_BThwC, quad_BThwC, video_BThwC])
    return _joined(noisy_BThwC, quad_BThwC, video_BThwC)


def inpaint_input(kind: InpaintKind, noisy_BThwC: jax.Array, mask: jax.Array, video_BThwC: jax.Array) -> jax.Array:
    """Input of a backbone of this kind, from the mask's and the video's channels that it takes."""
    return (fun_inp_input if kind == "fun_inp" else void_input)(noisy_BThwC, mask, video_BThwC)


def _joined(*parts: jax.Array) -> jax.Array:
    dtype = parts[0].dtype
    return jnp.concatenate([part.astype(dtype) for part in parts], axis=-1)
