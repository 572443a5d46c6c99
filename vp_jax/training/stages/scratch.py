"""The two stages that make VideoPainter's frozen models from nothing, where no published weights are used.

    stage       trained                          frozen    loss
    vae         the autoencoder                  -         |y - x| + |grad y - grad x| + k KL(posterior || N(0, 1))
    backbone    transformer and text encoder     VAE       the denoising loss over the whole clip, no hole

x are pixels, y those decoded from a sample of the posterior (CogVideoX, arXiv 2408.06072 section 2.1, without its
perceptual and adversarial losses); grad are differences of neighbouring rows, columns and frames, without which edges
stay soft. The backbone learns the joint embedding of captions with it: gradients reach the text encoder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.data.clips import to_model_range
from vp_jax.diffusion.loss import InpaintingLoss
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models.config import DiTConfig, T5Config, VAEConfig
from vp_jax.models.folder import abstract
from vp_jax.models.vae.vae import VAE, Posterior
from vp_jax.shapes import latent_frames
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.denoising import Batch, Denoiser, Draws, StepKeys
from vp_jax.training.stages.videopainter import (
    Weights,
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    random_weights,
    split_buffers,
)

START_LOGVAR = -4.0
"""Log-variance of the posterior before the first step: with that of N(0, 1) noise hides the picture for long."""


class Reconstruction(NamedTuple):
    """Parts of the VAE's loss (B,): mean absolute errors of pixels and of their differences, weighed KL."""

    pixels_B: jax.Array
    edges_B: jax.Array
    kl_B: jax.Array

    def total(self, hole_weight: float = 1.0) -> jax.Array:
        """The sum (B,); there is no hole."""
        return self.pixels_B + self.edges_B + self.kl_B


@dataclasses.dataclass(frozen=True)
class VAEStage:
    """The autoencoder learns from clips. ``models["vae"]`` holds random weights, `fresh_vae` prepares them.

    Attributes:
      vae: description.
      kl_weight: k above, of the mean KL per latent value.
      crop: rows and columns of the crops to train on, one at random of every example; 0 for whole pictures.
      continued: the weights are trained already and stay as they are.
    """

    vae: VAEConfig
    kl_weight: float = 1e-4
    crop: tuple[int, int] = (0, 0)
    continued: bool = False

    @property
    def kind(self) -> str:
        return "vae"

    @property
    def models(self) -> tuple[str, ...]:
        return ("vae",)

    def shapes(self) -> Weights:
        return Weights(float32_shapes({"vae": abstract(self.vae)[1]}), {})

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        weights = trees.cast(models["vae"], jnp.float32)
        return Weights({"vae": weights if self.continued else fresh_vae(weights)}, {})

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> dict[str, tuple[VAEConfig, trees.Tree]]:
        return {"vae": (self.vae, trainable["vae"])}

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: Mapping[str, Any], key: jax.Array
    ) -> dict[str, jax.Array]:
        pixels = to_model_range(dict(batch))["pixels_BFHWC"]
        if not any(self.crop):
            return {"pixels_BFHWC": pixels}
        B, _, H, W, _ = pixels.shape
        rows, columns = self.crop
        top, left = jax.random.randint(key, (2, B), 0, jnp.array([[H - rows + 1], [W - columns + 1]]))

        def cut(clip_FHWC: jax.Array, top: jax.Array, left: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(clip_FHWC, (0, top, left, 0), (clip_FHWC.shape[0], rows, columns, 3))

        return {"pixels_BFHWC": jax.vmap(cut)(pixels, top, left)}

    def draw(self, keys: StepKeys, batch: Batch, schedule: Schedule) -> jax.Array:
        """Noise (B, T, h, w, C) of the posterior's sample."""
        B, F, H, W, _ = batch["pixels_BFHWC"].shape
        stride, cfg = self.vae.spatial_stride, self.vae
        shape = (B, latent_frames(F), H // stride, W // stride, cfg.latent_channels)
        return jax.random.normal(keys.noise, shape, jnp.float32)

    def model(self, trainable: trees.Tree) -> VAE:
        """The autoencoder with these weights."""
        return nnx.merge(abstract(self.vae)[0], trainable["vae"])

    def loss(
        self, trainable: trees.Tree, frozen: trees.Tree, batch: Batch, draws: jax.Array, schedule: Schedule
    ) -> Reconstruction:
        model = self.model(compute_copy(trainable, self.vae.dtype))
        x = batch["pixels_BFHWC"]
        posterior = model.encode(x)
        y = model.decode(posterior.sample(draws))
        edges_B = sum(
            (
                _mean(jnp.abs(jnp.diff(y, axis=axis) - jnp.diff(x, axis=axis)))
                for axis in (1, 2, 3)
                if x.shape[axis] > 1
            ),
            start=jnp.zeros(x.shape[0]),
        )
        return Reconstruction(_mean(jnp.abs(y - x)), edges_B, self.kl_weight * kl(posterior))


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
        elif path == "encoder/conv_out/kernel":
            flat[path] = leaf.at[..., leaf.shape[-1] // 2 :].multiply(0.1)
        elif path == "encoder/conv_out/bias":
            flat[path] = leaf.at[leaf.shape[-1] // 2 :].set(START_LOGVAR)
    return trees.unflatten(flat)


def latent_std(stage: VAEStage, trainable: trees.Tree, batches: Iterable[Mapping[str, Any]]) -> float:
    """Standard deviation of the means of latents of some loader batches: the scaling factor is 1 / it.

    Scaled latents then have unit variance, as the noise schedule takes for granted (arXiv 2112.10752 appendix G).
    """

    @jax.jit
    def moments(weights: trees.Tree, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        z = stage.model(weights).encode(to_model_range(dict(batch))["pixels_BFHWC"]).mean_BThwC
        return z.mean(), jnp.square(z).mean()

    first, second = np.array([jax.device_get(moments(trainable, batch)) for batch in batches], np.float64).T
    return float(np.sqrt(second.mean() - first.mean() ** 2))


@dataclasses.dataclass(frozen=True)
class BackboneStage(Denoiser):
    """Transformer and text encoder learn together, to denoise whole clips; ``image`` drops are the loader's.

    Attributes:
      backbone, t5: descriptions.
    """

    backbone: DiTConfig
    t5: T5Config

    @property
    def kind(self) -> str:
        return "backbone"

    @property
    def models(self) -> tuple[str, ...]:
        return ("t5",)

    def shapes(self) -> Weights:
        weights, buffers = split_buffers(abstract(self.backbone)[1], buffer_paths(self.backbone))
        return Weights(float32_shapes({"backbone": weights, "t5": abstract(self.t5)[1]}), {"backbone": buffers})

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        backbone = models.get("backbone")
        if backbone is None:
            backbone = fresh_backbone(random_weights(self.backbone, key))
        weights, buffers = split_buffers(backbone, buffer_paths(self.backbone))
        t5 = models["t5"] if "backbone" in models else fresh_t5(self.t5, models["t5"])
        return Weights(trees.cast({"backbone": weights, "t5": t5}, jnp.float32), {"backbone": buffers})

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The transformer with its position table."""
        return join_buffers(trainable["backbone"], frozen["backbone"])

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> dict[str, tuple[DiTConfig | T5Config, trees.Tree]]:
        return {
            "transformer": (self.backbone, self.whole(trainable, frozen)),
            "text_encoder": (self.t5, trainable["t5"]),
        }

    def text(self, trainable: trees.Tree, ids_BM: jax.Array) -> jax.Array:
        """Embeddings BMD of token ids."""
        return nnx.merge(abstract(self.t5)[0], trainable["t5"])(ids_BM)

    def velocity(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch, t_B: jax.Array
    ) -> jax.Array:
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = nnx.merge(abstract(self.backbone)[0], self.whole(working, frozen))
        image = batch.get("image_latents_BThwC")
        latents = x_t if image is None else jnp.concatenate([x_t, image], axis=-1)
        return backbone(latents, self.text(working, batch["input_ids"]), t_B).sample

    def loss(
        self, trainable: trees.Tree, frozen: trees.Tree, batch: Batch, draws: Draws, schedule: Schedule
    ) -> InpaintingLoss:
        no_hole = jnp.zeros(batch["latents_BThwC"].shape[:-1])
        return super().loss(trainable, frozen, {**batch, "mask_BThw": no_hole}, draws, schedule)


def fresh_backbone(weights: trees.Tree) -> trees.Tree:
    """Modulations and the head start at zero: every block does nothing at first (adaLN-Zero, arXiv 2212.09748)."""
    flat = trees.flatten(weights)
    zero = ("norm1/linear", "norm2/linear", "norm_out/linear", "proj_out")
    return trees.unflatten(
        {path: jnp.zeros_like(leaf) if path.rpartition("/")[0].endswith(zero) else leaf for path, leaf in flat.items()}
    )


def fresh_t5(cfg: T5Config, weights: trees.Tree) -> trees.Tree:
    """Embeddings of unit variance, and queries so small that logits, which T5 does not scale, start near 1."""
    flat = dict(trees.flatten(weights))
    flat["embed/embedding"] = flat["embed/embedding"] * cfg.vocab_size**0.5
    flat["blocks/attn/to_q/kernel"] = flat["blocks/attn/to_q/kernel"] * cfg.head_dim**-0.5
    return trees.unflatten(flat)


def _mean(x: jax.Array) -> jax.Array:
    return x.mean(axis=tuple(range(1, x.ndim)))
