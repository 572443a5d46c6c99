"""The autoencoder from scratch, where no published weights are used: the first of the stages that make frozen models.

    absolute:  loss = |y - x| + |grad y - grad x| + k KL(posterior || N(0, 1))
    squared:   loss = (y - x)^2 + k KL(posterior || N(0, 1))

x are pixels, y those decoded from a sample of the posterior (CogVideoX, arXiv 2408.06072 section 2.1, without its
perceptual and adversarial losses); grad are differences of neighbouring rows, columns and frames, without which edges
stay soft. Squared errors learn faster at first (PSNR is their logarithm), absolute ones sharpen afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.models.config import VAEConfig
from vp_jax.models.folder import (
    BACKBONE,
    BRANCH,
    ENCODERS,
    ID_ADAPTER,
    CheckpointFolder,
    abstract_model,
    read_description,
)
from vp_jax.models.vae.vae import VAE, Posterior
from vp_jax.shapes import latent_frames
from vp_jax.training.encode import Encoders, float_pixels
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels, VAEError
from vp_jax.training.stages.denoising import check_clip_size
from vp_jax.training.stages.stage import Exports, Metrics, Sampled, StepKeys
from vp_jax.training.stages.weights import Origin, Weights, compute_copy, float32_shapes

START_LOGVAR = -4.0
"""Log-variance of the posterior before the first step: with that of N(0, 1) noise hides the picture for long."""


class Reconstruction(NamedTuple):
    """Parts of the loss (B,): mean errors of pixels and of their differences, weighted KL."""

    pixels_B: jax.Array
    edges_B: jax.Array
    kl_B: jax.Array

    def total(self, hole_weight: float = 1.0) -> jax.Array:
        """The sum (B,); there is no hole."""
        return self.pixels_B + self.edges_B + self.kl_B


class Clips(NamedTuple):
    """What the stage trains on: pixels, float32 [-1, 1]."""

    pixels_BFHWC: jax.Array


@dataclasses.dataclass(frozen=True)
class VAEStage:
    """The autoencoder learns from clips.

    ``models["vae"]`` of `start` holds random weights, which `fresh_vae` prepares, or trained ones.

    Attributes:
      vae: description.
      kl_weight: k above, of the mean KL per latent value.
      crop: rows and columns of the crops to train on, one at random of every example; 0 for complete pictures.
      continued: the weights are trained already and stay as they are.
      error: ``absolute`` or ``squared``, see the module.
    """

    vae: VAEConfig
    kl_weight: float = 1e-4
    crop: tuple[int, int] = (0, 0)
    continued: bool = False
    error: VAEError = "absolute"

    kind = "vae"
    companions = (BACKBONE.folder, BRANCH.folder, ID_ADAPTER.folder, *ENCODERS[1:])
    samples_alone = False
    needs_pixels = True
    denoises = False
    needs_masks = False

    def check_size(self, frames: int, height: int, width: int) -> None:
        """Check that crops and clips fit the strides of the autoencoder. Raises `UserError`."""
        stride = self.vae.spatial_stride
        for size, most in zip(self.crop, (height, width)):
            if size % stride or size > most or (not all(self.crop) and any(self.crop)):
                raise UserError(
                    f"vae_crop {self.crop} of {height} x {width} pixels: expected smaller multiples of {stride}, or "
                    f"(0, 0) for whole pictures"
                )
        check_clip_size(frames, height, width, stride)

    def shapes(self) -> Weights:
        """The autoencoder; nothing is frozen."""
        return Weights(float32_shapes({"vae": abstract_model(self.vae)[1]}), {})

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """Random weights, or the autoencoder to continue from."""
        return {"vae": Origin(self.shapes().trainable["vae"], init_from)}

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The autoencoder to continue from, or `fresh_vae` of random weights."""
        weights = trees.cast(models["vae"], jnp.float32)
        return Weights({"vae": weights if self.continued else fresh_vae(weights)}, {})

    def inputs(self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array) -> Clips:
        """Pixels of the loader's batch, cropped at random places."""
        pixels = float_pixels(_pixels(batch))
        if not any(self.crop):
            return Clips(pixels)
        B, _, H, W, _ = pixels.shape
        rows, columns = self.crop
        top, left = jax.random.randint(key, (2, B), 0, jnp.array([[H - rows + 1], [W - columns + 1]]))

        def cut(clip_FHWC: jax.Array, top: jax.Array, left: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(clip_FHWC, (0, top, left, 0), (clip_FHWC.shape[0], rows, columns, 3))

        return Clips(jax.vmap(cut)(pixels, top, left))

    def draw(self, keys: StepKeys, batch: Clips, schedule: Schedule, shift: float = 1.0) -> jax.Array:
        """Noise (B, T, h, w, C) of the posterior's sample; there are no timesteps to ``shift``."""
        B, F, H, W, _ = batch.pixels_BFHWC.shape
        stride = self.vae.spatial_stride
        shape = (B, latent_frames(F), H // stride, W // stride, self.vae.latent_channels)
        return jax.random.normal(keys.noise, shape, jnp.float32)

    def draw_at(self, keys: StepKeys, batch: Clips, schedule: Schedule, t: jax.Array) -> jax.Array:
        """`draw`, without timesteps."""
        return self.draw(keys, batch, schedule)

    def example_weights(self, draws: jax.Array, schedule: Schedule, min_snr: float) -> jax.Array:
        """All equal: there are no timesteps."""
        return jnp.ones(draws.shape[:1])

    def model(self, trainable: trees.Tree) -> VAE:
        """The autoencoder with these weights."""
        model: VAE = nnx.merge(abstract_model(self.vae)[0], trainable["vae"])
        return model

    def loss(
        self, trainable: trees.Tree, frozen: trees.Tree, batch: Clips, draws: jax.Array, schedule: Schedule
    ) -> Reconstruction:
        """Loss of every example."""
        model = self.model(compute_copy(trainable, self.vae.dtype))
        x = batch.pixels_BFHWC
        posterior = model.encode(x)
        y = model.decode_clip(posterior.sample(draws))
        kl_B = self.kl_weight * kl(posterior)
        if self.error == "squared":
            return Reconstruction(_mean(jnp.square(y - x)), jnp.zeros(x.shape[0]), kl_B)
        edges_B = sum(
            (
                _mean(jnp.abs(jnp.diff(y, axis=axis) - jnp.diff(x, axis=axis)))
                for axis in (1, 2, 3)
                if x.shape[axis] > 1
            ),
            start=jnp.zeros(x.shape[0]),
        )
        return Reconstruction(_mean(jnp.abs(y - x)), edges_B, kl_B)

    def metrics(self, loss_B: jax.Array, draws: jax.Array, schedule: Schedule) -> Metrics:
        """None."""
        return {}

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> None:
        """Not counted."""
        return None

    def whole_clips(self) -> Self:
        """The stage without crops."""
        return dataclasses.replace(self, crop=(0, 0))

    def empty_caption(
        self, encoders: Encoders, weights: trees.Tree, ids_M: jax.Array, stored_ME: jax.Array | None
    ) -> None:
        """An autoencoder reads no captions."""
        return None

    def sampler(self, encoders: Encoders, settings: Settings, schedule: Schedule) -> VAESampler:
        """Decodes what it encoded; ``settings`` have no effect."""
        return VAESampler(self)

    def calibrated(self, trainable: trees.Tree, batches: Iterable[PixelBatch | LatentBatch]) -> Self:
        """The scaling factor is 1 / the standard deviation of latents; the design ``blocks`` has one per channel."""
        # measured without the statistics that an autoencoder to continue from may have
        raw = dataclasses.replace(self.vae, latent_mean=(), latent_std=())
        mean_C, std_C, std = latent_moments(dataclasses.replace(self, vae=raw), trainable, batches)
        if self.vae.design == "blocks":
            mean, deviation = (tuple(round(float(x), 6) for x in values) for values in (mean_C, std_C))
            measured = dataclasses.replace(raw, latent_mean=mean, latent_std=deviation, scaling_factor=1.0)
        else:
            measured = dataclasses.replace(raw, scaling_factor=round(1.0 / std, 6))
        return dataclasses.replace(self, vae=measured)

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The autoencoder."""
        return {"vae": (self.vae, trainable["vae"])}

    def write_extras(self, folder: Path, schedule: Schedule) -> None:
        """Nothing."""


@dataclasses.dataclass(frozen=True)
class VAESampler:
    """What the autoencoder makes of clips; the original is the video itself."""

    stage: VAEStage

    def __call__(
        self, trainable: trees.Tree, frozen: trees.Tree, encoders: trees.Tree, batch: Clips, empty: None, key: jax.Array
    ) -> Sampled:
        """Decode what was encoded, see `vp_jax.training.stages.stage.Sampler`."""
        model = self.stage.model(trainable)
        return Sampled(batch.pixels_BFHWC, model.decode_clip(model.encode(batch.pixels_BFHWC).mean_BThwC), None)


def kl(posterior: Posterior) -> jax.Array:
    """KL divergence to N(0, 1) (B,), mean over the latent values."""
    mean, std = posterior
    return _mean(0.5 * (jnp.square(mean) + jnp.square(std) - 1.0) - jnp.log(std))


def fresh_vae(weights: trees.Tree) -> trees.Tree:
    """Random weights of variance 1 / inputs as a start that trains fast.

    The decoder's norms multiply by a map of the latents, which starts near 1 and not near 0; second convolutions of
    residual blocks start small, and so does the posterior's variance.
    """
    flat = dict(trees.flatten(weights))
    for path, leaf in flat.items():
        if path.endswith("conv_y/bias"):
            flat[path] = jnp.ones_like(leaf)
        elif path.endswith(("conv_y/kernel", "conv_b/kernel", "conv2/kernel")):
            flat[path] = 0.3 * leaf
        elif path == "encoder/logvar/bias":
            flat[path] = jnp.full_like(leaf, START_LOGVAR)
        elif path == "encoder/conv_out/kernel" and "encoder/logvar/bias" not in flat:
            flat[path] = leaf.at[..., leaf.shape[-1] // 2 :].multiply(0.1)
        elif path == "encoder/conv_out/bias" and "encoder/logvar/bias" not in flat:
            flat[path] = leaf.at[leaf.shape[-1] // 2 :].set(START_LOGVAR)
    return trees.unflatten(flat)


class LatentMoments(NamedTuple):
    """Mean and standard deviation of each channel of latents (C,), and the standard deviation of all of them."""

    mean_C: np.ndarray
    std_C: np.ndarray
    std: float


def latent_moments(
    stage: VAEStage, trainable: trees.Tree, batches: Iterable[PixelBatch | LatentBatch]
) -> LatentMoments:
    """Moments of the means of latents of some loader batches.

    Latents that are divided by the deviation have unit variance, as the noise schedule takes for granted (arXiv
    2112.10752 appendix G).
    """

    @jax.jit
    def moments(weights: trees.Tree, pixels_BFHWC: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = stage.model(weights).encode(float_pixels(pixels_BFHWC)).mean_BThwC
        return z.mean((0, 1, 2, 3)), jnp.square(z).mean((0, 1, 2, 3))

    measured = [jax.device_get(moments(trainable, _pixels(batch))) for batch in batches]
    first_C, second_C = np.array(measured, np.float64).mean(0)
    std = float(np.sqrt(second_C.mean() - first_C.mean() ** 2))
    return LatentMoments(first_C, np.sqrt(second_C - first_C**2), std)


def vae_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage, which takes nothing from a checkpoint; reads JSON at most.

    Raises:
      UserError: an unknown name, or a folder to continue from that holds no VAE.
    """
    found = Descriptions.named(cfg.name)
    if cfg.continued is not None:
        found = dataclasses.replace(found, vae=read_description(cfg.continued, VAEConfig))
    found = found.computed(cfg, platform)
    crop = cfg.vae_crop[0], cfg.vae_crop[1]
    stage = VAEStage(found.vae, cfg.kl_weight, crop, cfg.continued is not None, cfg.vae_error)
    encoders = Encoders(None, None, found.backbone.text_dim)
    text_len = found.backbone.max_text_len
    return TrainingModels(stage, encoders, found.schedule, text_len, reads_captions=False, vocabulary=None)


def _pixels(batch: PixelBatch | LatentBatch) -> jax.Array:
    if isinstance(batch, LatentBatch):
        raise TypeError("the vae stage learns from pixels: expected a PixelBatch")
    return batch.pixels_BFHWC


def _mean(x: jax.Array) -> jax.Array:
    return x.mean(axis=tuple(range(1, x.ndim)))
