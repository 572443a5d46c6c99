"""Sampling with the models of a stage that denoises: one window of the sampler, its reference faults left out.

It works on the step's batches of latents, so that latent shards do as well as pixels. The "original" is the decoded
clean video: what the VAE loses is no fault of the model's.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from vp_jax import trees
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs, WindowLatents
from vp_jax.inference.window import WindowProgram
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import vae as vae_module
from vp_jax.training.stages.stage import Sampled


class SamplerInputs(NamedTuple):
    """What a stage makes of its batch.

    Attributes:
      latents: of a window.
      text_BME, empty_ME: embeddings of the captions and of the empty caption.
      mask_BThw: latent mask of the data, 1 = hole; ``None``: complete clips are generated.
    """

    latents: WindowLatents
    text_BME: jax.Array
    empty_ME: jax.Array
    mask_BThw: jax.Array | None


class Sampleable(Protocol):
    """What `WindowSampler` asks of a stage; hashable."""

    def sampling_models(self, vae: VAEConfig) -> Models:
        """Descriptions of the models of a window."""
        ...

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Weights of those models but for the VAE."""
        ...

    def sampling_inputs(self, trainable: trees.Tree, batch: Any, empty: Any) -> SamplerInputs:
        """Inputs of the window from a batch of the stage."""
        ...


@dataclasses.dataclass(frozen=True)
class WindowSampler:
    """The sampler of a stage; hashable, a call is pure, see `vp_jax.training.stages.stage.Sampler`.

    Attributes:
      stage: the stage.
      vae: description of the VAE.
      settings: of sampling; ``window`` is the clips' length.
      schedule: of the noise.
    """

    stage: Sampleable
    vae: VAEConfig
    settings: Settings
    schedule: Schedule

    @functools.cached_property
    def program(self) -> WindowProgram:
        """One window."""
        return WindowProgram(self.stage.sampling_models(self.vae), self.settings, self.schedule)

    def __call__(
        self, trainable: trees.Tree, frozen: trees.Tree, encoders: trees.Tree, batch: Any, empty: Any, key: jax.Array
    ) -> Sampled:
        """Sample a batch, see `vp_jax.training.stages.stage.Sampler`."""
        program = self.program
        params: Any = {**self.stage.sampling_weights(trainable, frozen), "vae": encoders["vae"]}
        latents, text, empty_ME, mask = self.stage.sampling_inputs(trainable, batch, empty)
        if program.guided:
            text = jnp.concatenate([jnp.broadcast_to(empty_ME.astype(text.dtype)[None], text.shape), text])
        state = program.scan_steps(params, WindowInputs(latents, text, None, KeyNoise(key)), self.settings.steps)
        vae = program.models.vae(params)
        clean, result = (
            vae.decode_clip(vae_module.unscale(self.vae, x), slicing=True) for x in (latents.video_BThwC, state.x)
        )
        return Sampled(clean, result, mask)
