"""From pixels to what the step trains on: VAE and T5, frozen, in a program of their own.

    pixels --------------------------------> VAE -> sample -> * factor              latents_BThwC
    pixels with black holes ---------------> VAE -> sample -> * factor              masked_latents_BThwC
    first frame + sigma noise -------------> VAE -> sample -> * factor, zeros       image_latents_BThwC
      (where it has a hole, black there, as the sampler sees it)
    masks -> nearest latent cell, unless the loader has found the cells             mask_BThw
    token ids -----------------------------> T5                                     text_BME

The loader draws sigma = exp(N(-3, 0.5^2)) and whether the image is dropped for each example; noise is drawn here, from
the step's key. A batch of latent shards has most of it already: only what is missing is computed.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.models.config import T5Config, VAEConfig
from vp_jax.models.folder import abstract_model
from vp_jax.models.latent_mask import mask_to_latent
from vp_jax.models.vae import vae as vae_module
from vp_jax.sharding import constrain


class EncodedClips(NamedTuple):
    """Clips without holes: scaled latents, and the image condition of I2V backbones (else ``None``), float32."""

    latents_BThwC: jax.Array
    image_latents_BThwC: jax.Array | None


class EncodedHoles(NamedTuple):
    """Clips with holes and without captions; scaled latents as those of `Encoded`."""

    latents_BThwC: jax.Array
    masked_latents_BThwC: jax.Array
    mask_BThw: jax.Array
    image_latents_BThwC: jax.Array | None


class Encoded(NamedTuple):
    """What the stages that fill holes train on, float; latents are scaled as the transformer sees them.

    Attributes:
      latents_BThwC: clean video.
      masked_latents_BThwC: the video with black holes.
      mask_BThw: latent mask, 1 = hole.
      text_BME: embeddings of the captions.
      image_latents_BThwC: of I2V backbones, the first frame followed by zeros; all zeros where the image is dropped.
    """

    latents_BThwC: jax.Array
    masked_latents_BThwC: jax.Array
    mask_BThw: jax.Array
    text_BME: jax.Array
    image_latents_BThwC: jax.Array | None = None


class _Keys(NamedTuple):
    """The named keys of one batch; each is used once."""

    video: jax.Array
    masked: jax.Array
    image: jax.Array
    image_noise: jax.Array


@dataclasses.dataclass(frozen=True)
class Encoders:
    """The frozen models in front of the step; hashable, weights are an argument.

    Attributes:
      vae: description; ``None`` where the step trains on pixels.
      t5: description; ``None`` where there is no text encoder in front of the step: every token id is then a fixed
        random vector, which serves to try the program out and nothing else.
      text_dim: width E of those vectors.
      image: the backbone takes an image condition.
      slicing: one clip after another through the VAE: less memory, the same numbers.
    """

    vae: VAEConfig | None
    t5: T5Config | None
    text_dim: int
    image: bool = True
    slicing: bool = False

    def shapes(self) -> trees.Tree:
        """Shapes of the weights: ``vae`` and ``t5``, those that there are."""
        described = {"vae": self.vae, "t5": self.t5}
        return {name: abstract_model(cfg)[1] for name, cfg in described.items() if cfg is not None}

    def encode(self, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array) -> Encoded:
        """Clips with holes and captions, encoded; pure.

        Args:
          weights: see `shapes`.
          batch: of a loader, with token ids or embeddings of the captions.
          key: of this step.
        """
        clips = self.encode_holes(weights, batch, key)
        text = batch.text_BME if isinstance(batch, LatentBatch) else None
        if text is None:
            text = self.text(weights, token_ids(batch))
        return Encoded(*clips[:3], text, clips.image_latents_BThwC)

    def encode_holes(self, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array) -> EncodedHoles:
        """Clips with holes, without their captions, encoded; pure. Arguments as of `encode`."""
        keys = _keys(key)
        clips = self._clips(weights, batch, keys)
        masked, mask = self._masked(weights, batch, keys)
        return EncodedHoles(clips.latents_BThwC, masked, mask, clips.image_latents_BThwC)

    def encode_clips(self, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array) -> EncodedClips:
        """Clips without their holes and captions, encoded; pure. Arguments as of `encode`."""
        return self._clips(weights, batch, _keys(key))

    def text(self, weights: trees.Tree, ids_BM: jax.Array) -> jax.Array:
        """Embeddings BME of token ids."""
        if self.t5 is not None:
            embeddings: jax.Array = nnx.merge(abstract_model(self.t5)[0], weights["t5"])(ids_BM)
            return embeddings

        def vector(token: jax.Array) -> jax.Array:
            return jax.random.normal(jax.random.fold_in(jax.random.key(0), token), (self.text_dim,))

        return jax.vmap(jax.vmap(vector))(ids_BM)

    def _clips(self, weights: trees.Tree, batch: PixelBatch | LatentBatch, keys: _Keys) -> EncodedClips:
        if isinstance(batch, LatentBatch):
            return EncodedClips(batch.latents_BThwC, batch.image_latents_BThwC if self.image else None)
        pixels_BFHWC = float_pixels(batch.pixels_BFHWC)
        latents = self._sample(weights, pixels_BFHWC, keys.video)
        if not self.image:
            return EncodedClips(latents, None)
        first_BFHWC = float_pixels(batch.pixels_BFHWC[:, :1] * (1 - batch.masks_BFHW[:, :1])[..., None])
        noise = jax.random.normal(keys.image_noise, first_BFHWC.shape, jnp.float32)
        noisy_BFHWC = first_BFHWC + batch.image_sigma_B.reshape(-1, 1, 1, 1, 1) * noise
        image = self._sample(weights, noisy_BFHWC, keys.image, image=True)
        image = image * batch.image_keep_B.reshape(-1, 1, 1, 1, 1)
        return EncodedClips(latents, jnp.pad(image, ((0, 0), (0, latents.shape[1] - 1), (0, 0), (0, 0), (0, 0))))

    def _masked(self, weights: trees.Tree, batch: PixelBatch | LatentBatch, keys: _Keys) -> tuple[jax.Array, jax.Array]:
        """Latents of the video with black holes, and the latent mask."""
        if isinstance(batch, PixelBatch):
            masked_BFHWC = float_pixels(batch.pixels_BFHWC * (1 - batch.masks_BFHW)[..., None])
            masks_BFHW = batch.masks_BFHW.astype(jnp.float32)
        elif batch.masked_latents_BThwC is not None and batch.mask_BThw is not None:
            return batch.masked_latents_BThwC, batch.mask_BThw
        else:
            if batch.masked_BFHWC is None or batch.masks_BFHW is None:
                raise TypeError("a LatentBatch without masks: expected masked latents or masked pixels")
            masked_BFHWC, masks_BFHW = batch.masked_BFHWC, batch.masks_BFHW
        mask_BThw = mask_to_latent(masks_BFHW) if batch.mask_BThw is None else batch.mask_BThw
        return self._sample(weights, masked_BFHWC, keys.masked), mask_BThw

    def _sample(
        self, weights: trees.Tree, pixels_BFHWC: jax.Array, key: jax.Array, *, image: bool = False
    ) -> jax.Array:
        if self.vae is None:
            raise TypeError("these encoders have no VAE: expected a batch of latents")
        vae = nnx.merge(abstract_model(self.vae)[0], weights["vae"])
        posterior = vae.encode(constrain(pixels_BFHWC, "pixels"), slicing=self.slicing)
        latents = posterior.sample(jax.random.normal(key, posterior.mean_BThwC.shape, jnp.float32))
        return vae_module.scale(self.vae, latents, image=image)


def float_pixels(pixels: jax.Array) -> jax.Array:
    """Pixels uint8 [0, 255] -> float32 [-1, 1], ``x / 127.5 - 1``; black is -1."""
    return pixels.astype(jnp.float32) / 127.5 - 1


def token_ids(batch: PixelBatch | LatentBatch) -> jax.Array:
    """Token ids (B, M) of a batch whose loader has a tokenizer."""
    if batch.input_ids_BM is None:
        raise TypeError("a batch without token ids: expected a loader with a tokenizer")
    return batch.input_ids_BM


def _keys(key: jax.Array) -> _Keys:
    return _Keys(*jax.random.split(key, len(_Keys._fields)))
