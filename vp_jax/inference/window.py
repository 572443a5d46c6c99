"""One window of any-length sampling, a pure function ``(inputs, carry, noise) -> carry``.

    frames, holes --encode--> image | video | condition (masked latents, latent mask)
                                  |
    previous window's carry ------+--> S denoising steps, background replaced after each --> latents
       (latents, states)                                                                       |
                                                                                             carry

The video is encoded twice: with its holes filled (`vp_jax.inference.hole_fill`) for the background that is put back,
and with black holes for the context encoder. Nothing is kept outside the carry, so windows can be stored, resumed and
streamed. ``window`` scans all steps in one program; `WindowProgram.denoise_step` is the same step for
`vp_jax.inference.stream`, which can be interrupted.

Reference mode keeps two faults of the original (docs/model.md, "Faults of the released program"): the context encoder
sees grey (0) holes where training used black (-1), and a later window reads the previous window's token mask at its
first step only.

Backbones without a context encoder (`vp_jax.inference.conditioned`) take mask and video as further input channels.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion import sampler
from vp_jax.diffusion.guidance import guidance_table
from vp_jax.diffusion.noise import FrameNoise, KeyNoise, NoiseSource
from vp_jax.diffusion.schedule import Schedule
from vp_jax.diffusion.steps import SAMPLERS, StepTable
from vp_jax.inference.guided import CachedPredictor, GuidedPredictor, Near, NearPredictor, doubled
from vp_jax.inference.hole_fill import fill_holes
from vp_jax.inference.models import Models, Params
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry, WindowInputs, WindowLatents
from vp_jax.models.background_cache import KeptBackground, near_hole, room_near
from vp_jax.models.id_resample import PreviousWindow, room_for
from vp_jax.models.injection import joint_mask, masked_tokens
from vp_jax.models.inpaint import Condition
from vp_jax.models.latent_mask import mask_to_latent
from vp_jax.models.vae import vae as vae_module
from vp_jax.shapes import TEMPORAL_STRIDE


@dataclasses.dataclass(frozen=True)
class WindowProgram:
    """Everything static about a window; its methods are pure and are jitted by the caller."""

    models: Models
    settings: Settings
    schedule: Schedule
    reused: tuple[int, ...] = ()
    """Steps that reuse the estimate of an earlier one, see `vp_jax.diffusion.reuse`."""

    @property
    def reference(self) -> bool:
        """Keep the original's faults."""
        return self.settings.mode == "reference"

    @property
    def guided(self) -> bool:
        """Classifier-free guidance is on: text is [negative, positive]."""
        return self.settings.guided

    @property
    def table(self) -> StepTable:
        """Sampler coefficients of every step."""
        return SAMPLERS[self.settings.sampler].table(self.schedule, self.settings.steps, by_list=not self.reference)

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
        quad_BFHW: jax.Array | None = None,
    ) -> WindowLatents:
        """Encode a window.

        Args:
          params: weights.
          frames_BFHWC: pixels in [-1, 1], holes already black (-1), but for VOID.
          holes_BFHW: 1 = hole.
          image_B1hwC: one scaled latent frame, or ``None`` for T2V backbones.
          noise: draws ``video`` and ``masked``.
          quad_BFHW: for VOID, see `vp_jax.media.quadmask.encoded_pixels`.
        """
        if self.models.inpaint_kind is not None:
            return self._encode_channels(params, frames_BFHWC, holes_BFHW, noise, quad_BFHW)
        cfg, fill = self.models.vae_cfg, self.settings.hole_fill or "black"
        filled = fill_holes(frames_BFHWC, holes_BFHW, fill)
        if self.reference or fill != "black":
            kept = frames_BFHWC * (holes_BFHW < 0.5)[..., None] if self.reference else frames_BFHWC
            # one after the other: half the memory; in a loop: the encoder is compiled once
            clips = jnp.stack([filled, kept])
            mean, std = jax.lax.map(lambda clip: tuple(self.models.vae(params).encode(clip)), clips)
            video, masked = (
                vae_module.scale(cfg, self._drawn(vae_module.Posterior(mean[k], std[k]), noise, name))
                for k, name in enumerate(("video", "masked"))
            )
        else:
            video = masked = vae_module.scale(cfg, self._encode(params, filled, noise, "video"))
        image = None
        if self.models.takes_image:
            assert image_B1hwC is not None
            image = jnp.pad(image_B1hwC, ((0, 0), (0, video.shape[1] - 1), (0, 0), (0, 0), (0, 0)))
        mask_BThw = self.latent_mask(holes_BFHW)
        return WindowLatents(image, video, Condition.of(masked, mask_BThw, self.models.backbone_cfg.patch))

    def _encode_channels(
        self,
        params: Params,
        frames_BFHWC: jax.Array,
        holes_BFHW: jax.Array,
        noise: NoiseSource,
        quad_BFHW: jax.Array | None,
    ) -> WindowLatents:
        """A window for a backbone that takes mask and video among its channels, as the means of the VAE."""
        cfg, mask_BThw = self.models.vae_cfg, self.latent_mask(holes_BFHW)
        black = jnp.where(holes_BFHW[..., None] < 0.5, frames_BFHWC, -1.0)

        def mean(pixels_BFHWC: jax.Array) -> jax.Array:
            encoded = self.models.vae(params).encode(pixels_BFHWC).mean_BThwC.astype(jnp.float32)
            return vae_module.scale(cfg, encoded)

        if self.models.inpaint_kind == "void":
            assert quad_BFHW is not None
            mask = mean(jnp.repeat(quad_BFHW[..., None], 3, axis=-1))
            mask, frames_BFHWC = jax.lax.optimization_barrier((mask, frames_BFHWC))  # half the memory
            seen = mean(frames_BFHWC)
        else:
            mask, seen = cfg.scaling_factor * (1 - mask_BThw[..., None]), mean(black)
        video = seen
        if self.settings.replace_background:
            filled = fill_holes(black, holes_BFHW, self.settings.hole_fill or "black")
            filled, seen = jax.lax.optimization_barrier((filled, seen))
            video = vae_module.scale(cfg, self._encode(params, filled, noise, "video"))
        return WindowLatents(None, video, Condition.of(seen, mask_BThw, self.models.backbone_cfg.patch), (mask, seen))

    def latent_mask(self, holes_BFHW: jax.Array) -> jax.Array:
        """Pixel holes on the latent grid, float32 (B, T, h, w) in {0, 1}."""
        return mask_to_latent(holes_BFHW.astype(jnp.float32))

    def room(self, holes_NFHW: Iterable[np.ndarray]) -> int | None:
        """Places for the states of masked tokens that the carry of these windows needs; ``None``: of every token.

        The adapter reads nothing else, except in reference mode, where a window reads its own mask's tokens too.
        """
        if self.reference or not self.models.has_id_adapter or self.settings.clip_weight == 0:
            return None
        patch = self.models.backbone_cfg.patch
        tokens = [masked_tokens(self.latent_mask(jnp.asarray(holes)[None]), patch) for holes in holes_NFHW]
        room = room_for(max(int(masked_BN.sum()) for masked_BN in tokens))
        return room if room < tokens[0].shape[1] else None

    def near_room(self, holes_NFHW: Iterable[np.ndarray]) -> int | None:
        """Places for the tokens near the holes of these windows; ``None``: every step computes all of them."""
        if self.settings.background_every == 1:
            return None
        counts, tokens, p = [], 0, self.models.backbone_cfg.patch
        for holes_FHW in holes_NFHW:
            mask_BThw = self.latent_mask(jnp.asarray(holes_FHW)[None])
            _, T, h, w = mask_BThw.shape
            near_BN = near_hole(masked_tokens(mask_BThw, p), (T, h // p, w // p))
            tokens = near_BN.shape[1]
            counts.append(int(near_BN.sum()))
        return room_near(max(counts), tokens)

    def begin(self, inputs: WindowInputs) -> sampler.LoopState:
        """State before the first step: pure noise."""
        state = sampler.start(inputs.noise.named("initial", inputs.latents.video_BThwC.shape))
        return state._replace(estimates=doubled(jnp.zeros_like(state.x), self.guided)) if self.reused else state

    def denoise_step(
        self,
        params: Params,
        state: sampler.LoopState,
        index: jax.Array | int,
        inputs: WindowInputs,
        *,
        record: bool = False,
        room: int | None = None,
        guided: bool = True,
        reuse: bool | jax.Array | None = None,
    ) -> tuple[sampler.LoopState, jax.Array | None]:
        """One denoising step and, with ``record``, the states after every block (L, B, S, D), of ``room`` tokens.

        ``guided``: see `Settings.guided_at`. ``reuse``: take the estimates of the state, or compute them and leave them
        there, which may be traced; ``None``: compute, and leave those of the state alone.
        """
        predictor = dataclasses.replace(self._predictor(params, inputs), record=record, room=room, guided=guided)
        draws, after = self._around(inputs)
        if reuse is None or record:
            return sampler.denoise_step(state, index, self.table, predictor, draws, after)
        assert state.estimates is not None
        caching = CachedPredictor(predictor, self.table, state.estimates, reuse)
        state, estimates = sampler.denoise_step(state, index, self.table, caching, draws, after)
        return state._replace(estimates=estimates), None

    def near_step(
        self,
        params: Params,
        state: sampler.LoopState,
        index: jax.Array | int,
        inputs: WindowInputs,
        background: KeptBackground | None,
        *,
        room: int,
    ) -> tuple[sampler.LoopState, KeptBackground | None]:
        """One step where `Settings.background_every` is above 1, see `vp_jax.inference.near_hole`.

        Without a ``background`` it is a full step, which returns one; with it a hole step, which returns none.
        ``room``: of `near_room`.
        """
        predictor = dataclasses.replace(self._predictor(params, inputs), near=Near(room, background))
        near = NearPredictor(predictor, self.table)
        state, left = sampler.denoise_step(state, index, self.table, near, *self._around(inputs))
        return state, left if background is None else None

    def _predictor(self, params: Params, inputs: WindowInputs) -> GuidedPredictor:
        """The networks with guidance, of every step."""
        settings, table = self.settings, self.table
        timesteps = table.timestep.astype(np.int64)
        scales = guidance_table(settings.guidance, timesteps, dynamic=settings.dynamic_guidance)
        clean = table if self.schedule.prediction_type == "sample" else None
        return GuidedPredictor(self.models, params, settings, jnp.asarray(scales, jnp.float32), inputs, clean=clean)

    def _around(self, inputs: WindowInputs) -> tuple[NoiseSource | None, _Background | None]:
        """Draws of the steps, and what is done after each of them."""
        draws = inputs.noise if SAMPLERS[self.settings.sampler].stochastic else None
        return draws, _Background(inputs) if self.settings.replace_background else None

    def scan_near_steps(self, params: Params, inputs: WindowInputs, count: int, room: int) -> sampler.LoopState:
        """The first ``count`` steps from pure noise: a scan over full steps, in it a loop over their hole steps."""
        every = self.settings.background_every

        def group(state: sampler.LoopState, begin: jax.Array) -> tuple[sampler.LoopState, None]:
            state, background = self.near_step(params, state, begin, inputs, None, room=room)

            def hole(index: jax.Array, state: sampler.LoopState) -> sampler.LoopState:
                return self.near_step(params, state, index, inputs, background, room=room)[0]

            return jax.lax.fori_loop(begin + 1, jnp.minimum(begin + every, count), hole, state), None

        state: sampler.LoopState = jax.lax.scan(group, self.begin(inputs), jnp.arange(0, count, every))[0]
        return state

    def scan_steps(self, params: Params, inputs: WindowInputs, count: int) -> sampler.LoopState:
        """The first ``count`` steps from pure noise: one scan, or one before, in and after the interval of guidance."""
        state = self.begin(inputs)
        reused_S = jnp.asarray([step in self.reused for step in range(self.settings.steps)])
        for guided, steps in itertools.groupby(range(count), self.settings.guided_at):

            def body(
                state: sampler.LoopState, index: jax.Array, guided: bool = guided
            ) -> tuple[sampler.LoopState, None]:
                reuse = reused_S[index] if self.reused else None
                return self.denoise_step(params, state, index, inputs, guided=guided, reuse=reuse)[0], None

            state = jax.lax.scan(body, state, jnp.asarray(list(steps)))[0]
        return state

    def finish(self, state: sampler.LoopState, states_LBSD: jax.Array | None, inputs: WindowInputs) -> Carry:
        """The carry after the last step."""
        if states_LBSD is None:
            return Carry(state.x, None)
        masked_BN = doubled(inputs.latents.condition.tokens_BN, self.guided)
        return Carry(state.x, PreviousWindow(states_LBSD, joint_mask(masked_BN, inputs.text_BME.shape[1])))

    def image_of(self, carry: Carry) -> jax.Array:
        """Image condition of the next window: the latent where it will start, as it is, no new draw."""
        start = carry.latents_BThwC.shape[1] - 1 - self.settings.overlap_latents
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
        near: int | None = None,
    ) -> Carry:
        """The complete window in one program.

        Args:
          params: weights.
          frames_BFHWC: pixels in [-1, 1], holes already black (-1).
          holes_BFHW: 1 = hole.
          text_BME: see `WindowInputs`.
          carry: of the previous window, ``None`` at the first.
          noise: the window's random draws.
          record: a later window will read this one's states (clip weight above 0).
          near: of `near_room`.
        """
        image = None
        if self.models.takes_image:
            image = self.encode_image(params, frames_BFHWC[:, :1], noise) if carry is None else self.image_of(carry)
        latents = self.encode(params, frames_BFHWC, holes_BFHW, image, noise)
        inputs = WindowInputs(latents, text_BME, None if carry is None else carry.previous, noise)
        steps = self.settings.steps
        if near is not None:
            return self.finish(self.scan_near_steps(params, inputs, steps, near), None, inputs)
        state, states = self.scan_steps(params, inputs, steps - record), None
        if record:
            state, states = self.denoise_step(params, state, steps - 1, inputs, record=True)
        return self.finish(state, states, inputs)

    def _encode(self, params: Params, pixels_BFHWC: jax.Array, noise: NoiseSource, name: str) -> jax.Array:
        return self._drawn(self.models.vae(params).encode(pixels_BFHWC), noise, name)

    def _drawn(self, posterior: vae_module.Posterior, noise: NoiseSource, name: str) -> jax.Array:
        return posterior.sample(noise.named(name, posterior.mean_BThwC.shape)).astype(jnp.float32)


def window_noise(settings: Settings, number: int, seed: int | None = None) -> NoiseSource:
    """The random draws of a window, by its number and its seed, which may be another than that of ``settings``.

    They belong to latent frames of the complete video, so that windows agree where they overlap. In reference mode
    every window has its own.
    """
    key = jax.random.key(settings.seed if seed is None else seed)
    if settings.mode == "reference":
        return KeyNoise(jax.random.fold_in(key, number))
    return FrameNoise(key, jnp.asarray(number * settings.stride // TEMPORAL_STRIDE, jnp.int32))


@dataclasses.dataclass(frozen=True)
class _Background:
    """Puts the source's latents, noised for the next step, back outside the hole."""

    inputs: WindowInputs

    def __call__(self, x_BThwC: jax.Array, row: StepTable) -> jax.Array:
        latents, noise = self.inputs.latents, self.inputs.noise.named("initial", x_BThwC.shape)
        background = row.next_signal * latents.video_BThwC + row.next_sigma * noise
        return jnp.where(latents.condition.mask_BThw[..., None] > 0, x_BThwC, background)
