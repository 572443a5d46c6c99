"""What travels between the parts of a window: encoded inputs, what its steps share, what the next window reads."""

from __future__ import annotations

from typing import NamedTuple

import jax

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.models.id_resample import PreviousWindow
from vp_jax.models.inpaint import Condition


class Carry(NamedTuple):
    """What a window leaves to the next.

    Attributes:
      latents_BThwC: its final latents (after the last background replacement).
      previous: its states and token mask, or ``None`` when the clip weight is 0.
    """

    latents_BThwC: jax.Array
    previous: PreviousWindow | None


class WindowLatents(NamedTuple):
    """The encoded inputs of a window, all scaled.

    Attributes:
      image_BThwC: image condition, zero after its first frame; ``None`` for T2V backbones.
      video_BThwC: the frames, holes filled: the source of background replacement.
      condition: masked video and mask: the context encoder's input.
      channels: mask and video as backbones without a context encoder take them, see
        `vp_jax.models.inpaint_channels.inpaint_input`.
    """

    image_BThwC: jax.Array | None
    video_BThwC: jax.Array
    condition: Condition
    channels: tuple[jax.Array, jax.Array] | None = None


class WindowInputs(NamedTuple):
    """What all denoising steps of a window share.

    Attributes:
      latents: the encoded window.
      text_BME: (2, M, E) [negative, positive] under guidance, else (1, M, E).
      previous: the previous window's states; ``None`` for own keys.
      noise: the window's random draws.
    """

    latents: WindowLatents
    text_BME: jax.Array
    previous: PreviousWindow | None
    noise: NoiseSource
