"""What every stage that learns to denoise latents shares: random draws, loss, sampler, and answers to the program.

t ~ uniform{0 .. 999},  noise ~ N(0, 1),  x_t = a x_0 + s noise
t ~ floor(1000 s u / (1 + (s - 1) u)), u ~ uniform[0, 1), with step.timestep_shift s (arXiv 2403.03206, equation 23)
loss = mean_B [ w_t mean((x0_pred - x_0)^2) + lambda w_t mean((m x0_pred - m x_0)^2) ]

`Denoiser` is the base of all of them, `Inpainter` that of those which fill holes.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion import predict
from vp_jax.diffusion.loss import InpaintingLoss, inpainting_loss, min_snr_weight
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowLatents
from vp_jax.models.config import DEFAULT_INJECTION, DiTConfig, VAEConfig
from vp_jax.models.folder import ENCODERS
from vp_jax.models.inpaint import Condition
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE
from vp_jax.training.encode import Encoded, Encoders
from vp_jax.training.stages.sampling import SamplerInputs, WindowSampler
from vp_jax.training.stages.stage import Metrics, StepKeys

TIMESTEP_BINS = 10
"""Equal ranges of timesteps whose losses are reported apart: they differ by orders of magnitude."""


class Draws(NamedTuple):
    """Random numbers of a step: timesteps int32 (B,), noise like the latents, float32."""

    t_B: jax.Array
    noise_BThwC: jax.Array


def random_draws(keys: StepKeys, shape: tuple[int, ...], num_timesteps: int, shift: float = 1.0) -> Draws:
    """A timestep for each example and noise for latents of ``shape``; uniform timesteps, or see `shifted_timesteps`."""
    if shift == 1.0:
        t_B = jax.random.randint(keys.timestep, shape[:1], 0, num_timesteps)
    else:
        t_B = shifted_timesteps(jax.random.uniform(keys.timestep, shape[:1]), num_timesteps, shift)
    return Draws(t_B, jax.random.normal(keys.noise, shape, jnp.float32))


def shifted_timesteps(uniform_B: jax.Array, num_timesteps: int, shift: float) -> jax.Array:
    """Timesteps (B,) int32 of numbers in [0, 1); a ``shift`` above 1 moves them to high noise, below 1 to low noise.

    Half of them lie above ``shift / (1 + shift)`` of the range: 2/3 for 2, 3/4 for 3 (arXiv 2403.03206, equation 23).
    """
    moved_B = shift * uniform_B / (1 + (shift - 1) * uniform_B)
    return jnp.minimum((num_timesteps * moved_B).astype(jnp.int32), num_timesteps - 1)


def by_timestep(loss_B: jax.Array, t_B: jax.Array, num_timesteps: int) -> Metrics:
    """Sum of the loss and number of examples in each of `TIMESTEP_BINS` equal ranges of timesteps."""
    member = jax.nn.one_hot(t_B * TIMESTEP_BINS // num_timesteps, TIMESTEP_BINS)
    return {"bin_loss": (member * loss_B[:, None]).sum(0), "bin_count": member.sum(0)}


def check_clip_size(frames: int, height: int, width: int, multiple: int) -> None:
    """Check that clips have 4 n + 1 frames, and rows and columns that are multiples of ``multiple``.

    Raises:
      UserError: names the first size that does not fit, and the sizes that would.
    """
    if frames % TEMPORAL_STRIDE != 1:
        raise UserError(f"frames {frames}: expected 1, 5, 9 ... 4 n + 1")
    for name, size in (("height", height), ("width", width)):
        if size % multiple:
            raise UserError(f"{name} {size}: expected a multiple of {multiple}")


class LatentInputs(Protocol):
    """A batch with clean latents."""

    @property
    def latents_BThwC(self) -> jax.Array:
        """Clean latents, scaled."""
        ...


B = TypeVar("B", bound=LatentInputs)


class Denoiser(abc.ABC, Generic[B]):
    """Base of the stages that denoise: subclasses define the models and the batch.

    Attributes:
      backbone: description of the transformer.
      injection: which tokens get hints, in training and in its samples.
    """

    backbone: DiTConfig
    injection = DEFAULT_INJECTION
    needs_pixels = False
    needs_masks = False
    denoises = True
    companions: tuple[str, ...] = ENCODERS
    samples_alone = False

    @abc.abstractmethod
    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: B, t_B: jax.Array
    ) -> jax.Array:
        """What the transformer predicts (B, T, h, w, C), see `Schedule.prediction_type`."""

    def hole(self, batch: B) -> jax.Array:
        """Latent mask (B, T, h, w), 1 = hole, whose loss counts twice; here there is none."""
        return jnp.zeros(batch.latents_BThwC.shape[:-1])

    @abc.abstractmethod
    def sampling_models(self, vae: VAEConfig) -> Models:
        """See `vp_jax.training.stages.sampling.Sampleable`."""

    @abc.abstractmethod
    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """See `vp_jax.training.stages.sampling.Sampleable`."""

    @abc.abstractmethod
    def sampling_inputs(self, trainable: trees.Tree, batch: B, empty: jax.Array) -> SamplerInputs:
        """See `vp_jax.training.stages.sampling.Sampleable`."""

    def check_size(self, frames: int, height: int, width: int) -> None:
        """Check that clips have 4 n + 1 frames, and rows and columns that fill tokens. Raises `UserError`."""
        check_clip_size(frames, height, width, SPATIAL_STRIDE * self.backbone.patch)

    def draw(self, keys: StepKeys, batch: B, schedule: Schedule, shift: float = 1.0) -> Draws:
        """Random numbers of a step; timesteps moved by ``shift``, see `shifted_timesteps`."""
        return random_draws(keys, batch.latents_BThwC.shape, schedule.num_timesteps, shift)

    def draw_at(self, keys: StepKeys, batch: B, schedule: Schedule, t: jax.Array) -> Draws:
        """Random numbers with the timestep ``t``, an int32 scalar, for every example."""
        draws = self.draw(keys, batch, schedule)
        return draws._replace(t_B=jnp.full_like(draws.t_B, t))

    def example_weights(self, draws: Draws, schedule: Schedule, min_snr: float) -> jax.Array:
        """Weights (B,) of the examples in the objective, see `vp_jax.diffusion.loss.min_snr_weight`."""
        return min_snr_weight(jnp.asarray(schedule.abar, jnp.float32)[draws.t_B], min_snr)

    def loss(
        self, trainable: trees.Tree, frozen: trees.Tree, batch: B, draws: Draws, schedule: Schedule
    ) -> InpaintingLoss:
        """Loss of every example."""
        x0 = batch.latents_BThwC.astype(jnp.float32)
        abar_B = jnp.asarray(schedule.abar, jnp.float32)[draws.t_B]
        x_t = predict.add_noise(x0, draws.noise_BThwC, abar_B)
        output = self.predicted(trainable, frozen, x_t, batch, draws.t_B)
        v = predict.as_velocity(output, x_t, abar_B, schedule.prediction_type)
        return inpainting_loss(x_t, v, x0, self.hole(batch), abar_B)

    def metrics(self, loss_B: jax.Array, draws: Draws, schedule: Schedule) -> Metrics:
        """Losses by range of timesteps: ``bin_loss`` and ``bin_count`` (TIMESTEP_BINS,)."""
        return by_timestep(loss_B, draws.t_B, schedule.num_timesteps)

    def whole_clips(self) -> Self:
        """The stage itself: it crops nothing."""
        return self

    def empty_caption(
        self, encoders: Encoders, weights: trees.Tree, ids_M: jax.Array, stored_ME: jax.Array | None
    ) -> jax.Array:
        """Embedding (M, E) of the empty caption."""
        return jax.jit(encoders.text)(weights, ids_M[None])[0] if stored_ME is None else stored_ME

    def sampler(self, encoders: Encoders, settings: Settings, schedule: Schedule) -> WindowSampler:
        """One window of the sampler with the models of the stage."""
        if encoders.vae is None:
            raise TypeError("a sampler of latents needs a VAE: expected encoders with one")
        return WindowSampler(self, encoders.vae, settings.changed(injection=self.injection), schedule)

    def calibrated(self, trainable: trees.Tree, batches: Iterable[PixelBatch | LatentBatch]) -> Self:
        """Nothing is measured."""
        return self

    def write_extras(self, folder: Path, schedule: Schedule) -> None:
        """Nothing."""


class Inpainter(Denoiser[Encoded]):
    """Base of the stages that fill holes, on batches that `vp_jax.training.encode.Encoders.encode` makes."""

    needs_masks = True

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array
    ) -> Encoded:
        """The step's batch from the loader's."""
        return encoders.encode(weights, batch, key)

    def hole(self, batch: Encoded) -> jax.Array:
        """Latent mask (B, T, h, w) of the data."""
        return batch.mask_BThw

    def sampling_inputs(self, trainable: trees.Tree, batch: Encoded, empty: jax.Array) -> SamplerInputs:
        """Latents, condition and text of the data."""
        given = condition(batch, self.backbone.patch)
        latents = WindowLatents(batch.image_latents_BThwC, batch.latents_BThwC, given)
        return SamplerInputs(latents, batch.text_BME, empty, batch.mask_BThw)


def condition(batch: Encoded, patch: int = 2) -> Condition:
    """Masked video and latent mask of a batch, for a backbone with tokens of ``patch`` x ``patch`` latent cells."""
    return Condition.of(batch.masked_latents_BThwC, batch.mask_BThw, patch)


def with_image(x_t: jax.Array, image_BThwC: jax.Array | None) -> jax.Array:
    """Noisy latents joined with the image condition of I2V backbones."""
    return x_t if image_BThwC is None else jnp.concatenate([x_t, image_BThwC], axis=-1)
