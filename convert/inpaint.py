"""Transformers that take mask and masked video as input channels: CogVideoX-Fun-InP and VOID.

Both are CogVideoX transformers with more channels in the patch projection, and use the table of `dit`. The order of
their input channels is that of `vp_jax.models.inpaint_channels`.

============ ======== ================================================================================================
kind         channels what they are
============ ======== ================================================================================================
``fun_inp``  33       16 noisy, 1 mask, 16 masked video
``void``     48       16 noisy, 16 quad mask (encoded by the VAE), 16 video
============ ======== ================================================================================================

CogVideoX-Fun's ``config.json`` has a switch of its own, ``add_noise_in_inpaint_model``: noise on the masked video
during training, which changes no tensor. VOID's files hold weights alone and go with the ``config.json`` of its base,
CogVideoX-Fun-V1.5-5b-InP; its 33 input channels are read as VOID's 48.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from vp_jax.convert import dit
from vp_jax.errors import UserError
from vp_jax.models.config import DiTConfig

FUN_SWITCH = "add_noise_in_inpaint_model"


class InpaintReader(NamedTuple):
    """How the ``config.json`` of one kind is read and written."""

    from_torch: Callable[[dict[str, Any]], DiTConfig]
    to_torch: Callable[[DiTConfig], dict[str, Any]]


def _reader(kind: str, channels: Callable[[int], int], also: Callable[[int], int] | None = None) -> InpaintReader:
    """A reader of one kind.

    Args:
      kind: for messages.
      channels: input channels for so many channels of latents.
      also: the same of a base whose ``config.json`` may stand beside the weights.
    """

    def from_torch(values: dict[str, Any]) -> DiTConfig:
        values = dict(values)
        switch = values.pop(FUN_SWITCH, False)
        if not isinstance(switch, bool):
            raise UserError(f"{kind} config: {FUN_SWITCH} {switch!r}, expected true or false")
        cfg = dit.config_from_torch(values, kind)
        expected = channels(cfg.out_channels)
        if cfg.in_channels not in (expected, also(cfg.out_channels) if also else expected):
            raise UserError(f"{kind} config: in_channels {cfg.in_channels}, expected {expected}")
        return dataclasses.replace(cfg, in_channels=expected)

    def to_torch(cfg: DiTConfig) -> dict[str, Any]:
        return {**dit.config_to_torch(cfg), FUN_SWITCH: True}

    return InpaintReader(from_torch, to_torch)


FUN_INP = _reader("fun_inp", lambda latents: 2 * latents + 1)
VOID = _reader("void", lambda latents: 3 * latents, also=lambda latents: 2 * latents + 1)
