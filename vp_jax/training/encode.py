"""From pixels to what the step trains on: VAE and T5, frozen, in a program of their own (model facts, section 6).

    pixels --------------------------------> VAE -> sample -> * factor              latents_BThwC
    pixels with black holes ---------------> VAE -> sample -> * factor              masked_latents_BThwC
    first frame + sigma noise -------------> VAE -> sample -> * factor, zeros       image_latents_BThwC
    masks -> nearest latent cell                                                    mask_BThw
    token ids -----------------------------> T5                                     text_BMD

sigma = exp(N(-3, 0.5^2)) and whether the image is dropped are drawn by the loader for each example; noise is drawn
here, from the step's key. A batch of latent shards has most of it already: only what is missing is computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.data.clips import to_model_range
from vp_jax.models.config import T5Config, VAEConfig
from vp_jax.models.folder import abstract
from vp_jax.models.latent_mask import mask_to_latent
from vp_jax.models.vae import vae as vae_module
from vp_jax.sharding import constrain

INPUTS = (
    "pixels",
    "masks",
    "masked_BFHWC",
    "masks_BFHW",
    "image_sigma",
    "image_keep",
    "input_ids",
    "latents_BThwC",
    "masked_latents_BThwC",
    "image_latents_BThwC",
    "mask_BThw",
    "text_BMD",
)
"""Keys of a loader's batch that go to the device; the others (captions, names) stay on the host."""

DRAWS = ("video", "masked", "image", "image_noise")


@dataclasses.dataclass(frozen=True)
class Encoders:
    """The frozen models in front of the step; hashable, weights are an argument.

    Attributes:
      vae: description.
      t5: description; ``None`` where there is no text encoder: every token id is then a fixed random vector, which
        serves to try the program out and nothing else.
      text_dim: width of those vectors.
      image: the backbone takes an image condition.
      slicing: one clip after another through the VAE: less memory, the same numbers.
      pretraining: the step trains the text encoder too and fills no holes: it is given token ids, ``input_ids``, and
        neither embeddings nor a masked video.
    """

    vae: VAEConfig
    t5: T5Config | None
    text_dim: int
    image: bool = True
    slicing: bool = False
    pretraining: bool = False

    def shapes(self) -> trees.Tree:
        """Shapes of the weights: ``vae`` and, if there is one, ``t5``."""
        return {"vae": abstract(self.vae)[1]} | ({"t5": abstract(self.t5)[1]} if self.t5 else {})

    def encode(self, weights: trees.Tree, batch: Mapping[str, Any], key: jax.Array) -> dict[str, jax.Array]:
        """The step's batch; pure.

        Args:
          weights: see `shapes`.
          batch: a loader's batch, `INPUTS` alone: uint8 pixels (`pipeline.make_loader` with ``on_device``), latents
            (`latents.make_latent_loader`), or clean latents with pixels of the masked video.
          key: of this step.
        """
        keys = dict(zip(DRAWS, jax.random.split(key, len(DRAWS))))
        batch = to_model_range(dict(batch)) if "pixels" in batch else dict(batch)
        out = {name: batch[name] for name in INPUTS if name.endswith(("ThwC", "BThw", "BMD")) and name in batch}
        if "latents_BThwC" not in out:
            out["latents_BThwC"] = self._sample(weights, batch["pixels_BFHWC"], keys["video"])
        if self.pretraining:
            out = {name: out[name] for name in out if name in ("latents_BThwC", "image_latents_BThwC")}
            return self._with_image(weights, {**out, "input_ids": batch["input_ids"]}, batch, keys)
        if "masked_latents_BThwC" not in out:
            out["masked_latents_BThwC"] = self._sample(weights, batch["masked_BFHWC"], keys["masked"])
            out["mask_BThw"] = mask_to_latent(batch["masks_BFHW"])
        if "text_BMD" not in out:
            out["text_BMD"] = self.text(weights, batch["input_ids"])
        return self._with_image(weights, out, batch, keys)

    def _with_image(
        self, weights: trees.Tree, out: dict[str, jax.Array], batch: Mapping[str, Any], keys: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        if not self.image:
            out.pop("image_latents_BThwC", None)
        elif "image_latents_BThwC" not in out:
            out["image_latents_BThwC"] = self._image(weights, batch, out["latents_BThwC"].shape[1], keys)
        return out

    def text(self, weights: trees.Tree, ids_BM: jax.Array) -> jax.Array:
        """Embeddings BMD of token ids."""
        if self.t5 is not None:
            return nnx.merge(abstract(self.t5)[0], weights["t5"])(ids_BM)
        vectors = jax.vmap(
            jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(jax.random.key(0), i), (self.text_dim,)))
        )
        return vectors(ids_BM)

    def _sample(
        self, weights: trees.Tree, pixels_BFHWC: jax.Array, key: jax.Array, *, image: bool = False
    ) -> jax.Array:
        vae = nnx.merge(abstract(self.vae)[0], weights["vae"])
        posterior = vae.encode(constrain(pixels_BFHWC, "pixels"), slicing=self.slicing)
        latents = posterior.sample(jax.random.normal(key, posterior.mean_BThwC.shape, jnp.float32))
        return vae_module.scale(self.vae, latents, image=image)

    def _image(
        self, weights: trees.Tree, batch: Mapping[str, Any], frames: int, keys: dict[str, jax.Array]
    ) -> jax.Array:
        first = batch["pixels_BFHWC"][:, :1]
        noise = jax.random.normal(keys["image_noise"], first.shape, jnp.float32)
        noisy = first + batch["image_sigma"].reshape(-1, 1, 1, 1, 1) * noise
        latents = self._sample(weights, noisy, keys["image"], image=True)
        latents = latents * batch["image_keep"].reshape(-1, 1, 1, 1, 1)
        return jnp.pad(latents, ((0, 0), (0, frames - 1), (0, 0), (0, 0), (0, 0)))
