"""Sampling many clips of one size together: one program per window, clips on the batch axis.

The noise of a clip follows from its own seed, so its result is the same in every batch, up to rounding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from vp_jax.diffusion.noise import FrameNoise
from vp_jax.inference.decode import stitch
from vp_jax.inference.models import Params
from vp_jax.inference.near_hole import check_model
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.step_cache import reused_by
from vp_jax.inference.window import WindowProgram
from vp_jax.media.canvas import to_uint8
from vp_jax.models.latent_grid import cover_cells
from vp_jax.models.vae import vae as vae_module
from vp_jax.shapes import TEMPORAL_STRIDE


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ClipNoise:
    """Draws of each clip from its own key, see `FrameNoise`."""

    keys_B: jax.Array
    first: jax.Array

    def named(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Draw ``name`` of every clip."""
        return self._each(lambda noise: noise.named(name, (1, *shape[1:])))

    def step(self, index: jax.Array | int, shape: tuple[int, ...]) -> jax.Array:
        """Draw of denoising step ``index`` of every clip."""
        return self._each(lambda noise: noise.step(index, (1, *shape[1:])))

    def _each(self, draw: Callable[[FrameNoise], jax.Array]) -> jax.Array:
        return jax.vmap(lambda key: draw(FrameNoise(key, self.first))[0])(self.keys_B)


class BatchSampler:
    """A pipeline with its settings, to be called with clips."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.pipeline, self.settings = pipeline, settings
        check_model(pipeline.models, settings)
        reused = reused_by(pipeline.drift, pipeline.schedule, settings)
        self._program = WindowProgram(pipeline.models, settings, pipeline.schedule, reused)
        self._window = jax.jit(self._program.window, static_argnames=("record", "near"))
        self._decode = jax.jit(self._decoded)
        self._encode_decode = jax.jit(self._round_trip)

    def __call__(
        self,
        frames_BFHWC: np.ndarray,
        holes_BFHW: np.ndarray,
        text_BME: np.ndarray,
        empty_ME: np.ndarray,
        seeds_B: Sequence[int],
    ) -> np.ndarray:
        """Inpaint clips.

        Args:
          frames_BFHWC: uint8 pixels; those in holes are ignored.
          holes_BFHW: bool, True = generated.
          text_BME: embeddings of the prompts.
          empty_ME: embedding of the negative prompt.
          seeds_B: seed of each clip's noise.

        Returns:
          uint8 pixels as the model makes them, without pasting.
        """
        frames = holes_BFHW.shape[1]
        plan = plan_windows(frames, self.settings)
        extra = ((0, 0), (0, plan.padded_frames - frames))
        pixels = np.where(holes_BFHW[..., None], np.uint8(0), frames_BFHWC).astype(np.float32) / 127.5 - 1
        holes_BFHW = np.stack([cover_cells(holes_FHW) for holes_FHW in holes_BFHW])
        pixels = np.pad(pixels, (*extra, (0, 0), (0, 0), (0, 0)), mode="edge")
        holes = np.pad(holes_BFHW.astype(np.float32), (*extra, (0, 0), (0, 0)), mode="edge")
        text = text_BME
        if self._program.guided:
            text = np.concatenate([np.broadcast_to(empty_ME, text_BME.shape), text_BME])
        keys_B = jax.vmap(jax.random.key)(np.asarray(seeds_B, np.uint32))
        spans = [slice(begin, begin + self.settings.window) for begin in plan.windows]
        near = self._program.near_room(holes_FHW[span] for holes_FHW in holes for span in spans)
        carry: Carry | None = None
        windows: list[np.ndarray] = []
        for k, begin in enumerate(plan.windows):
            span = spans[k]
            noise = ClipNoise(keys_B, np.int32(begin // TEMPORAL_STRIDE))
            record = self.settings.clip_weight > 0 and k + 1 < len(plan.windows)
            carry = self._window(
                self.pipeline.params, pixels[:, span], holes[:, span], text, carry, noise, record=record, near=near
            )
            windows.append(np.asarray(carry.latents_BThwC))
        latents = stitch(windows, self.settings.overlap_latents, reference=False)
        if latents.shape[1] % 2 == 0:  # with an even number, the VAE makes 4 frames of the first latent
            latents = np.concatenate([latents, latents[:, -1:]], axis=1)
        return to_uint8(self._decode(self.pipeline.params, latents))[:, :frames]

    def round_trip(self, frames_BFHWC: np.ndarray) -> np.ndarray:
        """Encode and decode clips without sampling: an upper bound of how close a result can be to the truth."""
        return to_uint8(self._encode_decode(self.pipeline.params, frames_BFHWC.astype(np.float32) / 127.5 - 1))

    def _decoded(self, params: Params, latents_BThwC: jax.Array) -> jax.Array:
        models = self.pipeline.models
        return models.vae(params).decode(vae_module.unscale(models.vae_cfg, latents_BThwC), slicing=True)

    def _round_trip(self, params: Params, pixels_BFHWC: jax.Array) -> jax.Array:
        vae = self.pipeline.models.vae(params)
        return vae.decode(vae.encode(pixels_BFHWC, slicing=True).mean_BThwC, slicing=True)
