"""One window of any-length sampling, a pure function ``(inputs, carry, noise) -> (latents, carry)``.

    frames, holes --encode--> image | video | masked latents, latent mask
                                  |
    previous window's carry ------+--> S denoising steps, background replaced after each --> latents
       (latents, states)                                                                       |
                                                                                             carry

Nothing is kept outside the carry, so windows can be stored, resumed and streamed. ``window`` scans all steps in one
program; `WindowProgram.step` is the same step for a driver that wants to show progress and be interrupted.

Reference mode keeps two faults of the original (docs/model.md, "Faults of the released program"): the context encoder
sees grey (0) holes where training used black (-1), and a later window reads the previous window's token mask at its
first step only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion import sampler
from vp_jax.diffusion.guidance import guidance_table, guide
from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.schedule import Schedule
from vp_jax.diffusion.steps import SAMPLERS, StepTable
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.models.id_resample import PreviousWindow, Resample, joint_mask
from vp_jax.models.injection import masked_tokens
from vp_jax.models.inpaint import InjectionSettings, predict
from vp_jax.models.latent_mask import mask_to_latent
from vp_jax.models.vae import vae as vae_module
from vp_jax.shapes import TEMPORAL_STRIDE

Params = dict[str, Any]


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
      video_BThwC: the frames as given: the source of background replacement.
      masked_BThwC: the frames with holes filled: the context encoder's input.
      mask_BThw: latent mask, 1 = hole.
    """

    image_BThwC: jax.Array | None
    video_BThwC: jax.Array
    masked_BThwC: jax.Array
    mask_BThw: jax.Array


def overlap_latents(settings: Settings) -> int:
    """Latent frames by which a window reaches back behind the latent it starts at: ``(F - stride) // 4``."""
    return (settings.window - settings.stride) // TEMPORAL_STRIDE


@dataclasses.dataclass(frozen=True)
class WindowProgram:
    """Everything static about a window; its methods are pure and are jitted by the caller."""

    models: Models
    settings: Settings
    schedule: Schedule

    @property
    def reference(self) -> bool:
        """Keep the original's faults."""
        return self.settings.mode == "reference"

    @property
    def guided(self) -> bool:
        """Classifier-free guidance is on: text is [negative, positive]."""
        return self.settings.guidance > 1

    @property
    def table(self) -> StepTable:
        """Sampler coefficients of every step."""
        return SAMPLERS[self.settings.sampler].table(self.schedule, self.settings.steps)

    def _encode(self, params: Params, pixels_BFHWC: jax.Array, noise: NoiseSource, name: str) -> jax.Array:
        posterior = self.models.vae(params).encode(pixels_BFHWC)
        return posterior.sample(noise.named(name, posterior.mean_BThwC.shape)).astype(jnp.float32)

    def encode_image(self, params: Params, frame_BFHWC: jax.Array, noise: NoiseSource) -> jax.Array:
        """Image condition of the first window: one frame (B, 1, H, W, 3) in [-1, 1] -> (B, 1, h, w, C)."""
        latents = self._encode(params, frame_BFHWC, noise, "image")
        return vae_module.scale(self.models.vae_cfg, latents, image=True)

    def encode(
        self,
        params: Params,
        frames_BFHWC: jax.Array,
        holes_BFHW: jax.Array,
        image_B1hwC: jax.Array | None,
        noise: NoiseSource,
    ) -> WindowLatents:
        """Encode a window.

        Args:
          frames_BFHWC: pixels in [-1, 1], holes already black (-1).
          holes_BFHW: 1 = hole.
          image_B1hwC: one scaled latent frame, or ``None`` for T2V backbones.
          noise: draws ``video`` and ``masked``.
        """
        cfg = self.models.vae_cfg
        video = vae_module.scale(cfg, self._encode(params, frames_BFHWC, noise, "video"))
        if self.reference:
            kept = frames_BFHWC * (holes_BFHW < 0.5)[..., None]
            masked = vae_module.scale(cfg, self._encode(params, kept, noise, "masked"))
        else:
            masked = video  # holes are black in both
        image = None
        if self.models.takes_image:
            assert image_B1hwC is not None
            image = jnp.pad(image_B1hwC, ((0, 0), (0, video.shape[1] - 1), (0, 0), (0, 0), (0, 0)))
        return WindowLatents(image, video, masked, mask_to_latent(holes_BFHW.astype(jnp.float32)))

    def begin(self, latents: WindowLatents, noise: NoiseSource) -> sampler.LoopState:
        """State before the first step: pure noise."""
        return sampler.start(noise.named("initial", latents.video_BThwC.shape))

    def step(
        self,
        params: Params,
        state: sampler.LoopState,
        index: jax.Array | int,
        latents: WindowLatents,
        text_BME: jax.Array,
        previous: PreviousWindow | None,
        noise: NoiseSource,
        *,
        record: bool = False,
    ) -> tuple[sampler.LoopState, jax.Array | None]:
        """One denoising step and, if asked, the states after every block (L, B, S, D).

        Args:
          text_BME: (2, M, E) [negative, positive] under guidance, else (1, M, E).
          previous: the previous window's states; ``None`` for own keys.
        """
        models, settings = self.models, self.settings
        backbone, branch = models.backbone(params), models.branch(params)
        copies = 2 if self.guided else 1
        double = lambda a: jnp.concatenate([a] * copies)  # noqa: E731
        condition = double(jnp.concatenate([latents.masked_BThwC, latents.mask_BThw[..., None]], axis=-1))
        masked_BS = joint_mask(masked_tokens(condition[..., -1], models.backbone_cfg.patch), text_BME.shape[1])
        scales = jnp.asarray(
            guidance_table(settings.guidance, self.table.timestep.astype(np.int64), dynamic=settings.dynamic_guidance),
            jnp.float32,
        )

        def predict_fn(x: jax.Array, timestep: jax.Array, index: jax.Array) -> tuple[jax.Array, Any]:
            before = previous
            if previous is not None and self.reference:
                before = PreviousWindow(previous.states_LBSD, jnp.where(index == 0, previous.masked_BS, masked_BS))
            resample = None
            if models.has_id_adapter or before is not None:
                resample = Resample(models.has_id_adapter, masked_BS, before, settings.clip_weight)
            out = predict(
                backbone,
                branch,
                double(x),
                None if latents.image_BThwC is None else double(latents.image_BThwC),
                condition,
                text_BME,
                jnp.full((copies * x.shape[0],), timestep),
                record_states=record,
                resample=resample,
                injection=InjectionSettings(settings.hint_scale, tokens=settings.hint_tokens),
            )
            v = out.sample.astype(jnp.float32)
            return (guide(v, scales[index]) if self.guided else v), out.recorded

        def after_step(x: jax.Array, row: StepTable) -> jax.Array:
            if not settings.replace_background:
                return x
            background = row.next_signal * latents.video_BThwC + row.next_sigma * noise.named("initial", x.shape)
            return jnp.where(latents.mask_BThw[..., None] > 0, x, background)

        draws = noise if SAMPLERS[settings.sampler].stochastic else None
        return sampler.denoise_step(state, index, self.table, predict_fn, draws, after_step)

    def scan_steps(
        self,
        params: Params,
        latents: WindowLatents,
        text_BME: jax.Array,
        previous: PreviousWindow | None,
        noise: NoiseSource,
        count: int,
    ) -> sampler.LoopState:
        """The first ``count`` steps in one scan, from pure noise; see `step` for the arguments."""

        def body(state: sampler.LoopState, index: jax.Array) -> tuple[sampler.LoopState, None]:
            return self.step(params, state, index, latents, text_BME, previous, noise)[0], None

        return jax.lax.scan(body, self.begin(latents, noise), jnp.arange(count))[0]

    def finish(
        self, state: sampler.LoopState, states: jax.Array | None, latents: WindowLatents, text_BME: jax.Array
    ) -> Carry:
        """The carry after the last step."""
        if states is None:
            return Carry(state.x, None)
        masked_BN = masked_tokens(
            jnp.concatenate([latents.mask_BThw] * (2 if self.guided else 1)), self.models.backbone_cfg.patch
        )
        return Carry(state.x, PreviousWindow(states, joint_mask(masked_BN, text_BME.shape[1])))

    def image_of(self, carry: Carry) -> jax.Array:
        """Image condition of the next window: the latent where it will start, as it is, no new draw."""
        start = carry.latents_BThwC.shape[1] - 1 - overlap_latents(self.settings)
        return carry.latents_BThwC[:, start : start + 1]

    def window(
        self,
        params: Params,
        frames_BFHWC: jax.Array,
        holes_BFHW: jax.Array,
        text_BME: jax.Array,
        carry: Carry | None,
        noise: NoiseSource,
        *,
        record: bool = False,
    ) -> Carry:
        """The whole window in one program; see `encode` and `step` for the arguments.

        Args:
          carry: of the previous window, ``None`` at the first.
          record: a later window will read this one's states (clip weight above 0).
        """
        image = None
        if self.models.takes_image:
            image = self.encode_image(params, frames_BFHWC[:, :1], noise) if carry is None else self.image_of(carry)
        latents = self.encode(params, frames_BFHWC, holes_BFHW, image, noise)
        previous = None if carry is None else carry.previous
        steps = self.settings.steps
        state, states = self.scan_steps(params, latents, text_BME, previous, noise, steps - record), None
        if record:
            state, states = self.step(params, state, steps - 1, latents, text_BME, previous, noise, record=True)
        return self.finish(state, states, latents, text_BME)


def stitch(windows: list[np.ndarray], overlap: int, *, reference: bool) -> np.ndarray:
    """Latents of the whole video from those of its windows, each (B, T, h, w, C).

    Window k starts at latent ``k (T - overlap - 1)``; overlapping latents are averaged with equal weight. Outside
    reference mode a later window's first latent, which stands for one frame where its neighbours stand for four,
    yields to the previous window's.
    """
    T = windows[0].shape[1]
    advance = T - overlap - 1
    total = np.zeros((windows[0].shape[0], advance * (len(windows) - 1) + T, *windows[0].shape[2:]), np.float32)
    weight = np.zeros(total.shape[1], np.float32)
    for k, latents in enumerate(windows):
        first = 0 if reference or k == 0 else 1
        total[:, k * advance + first : k * advance + T] += latents[:, first:]
        weight[k * advance + first : k * advance + T] += 1
    return total / weight[None, :, None, None, None]
