"""What the devices need of a loader's batch, as pytrees: clips of pixels, or the latents of shards.

Captions and names of the clips stay on the host. Arrays are NumPy where the loader makes them and `jax.Array` once
they are on the devices; ``None`` is a part that the batch does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:  # the loader's worker processes need no JAX
    import jax


class PixelBatch(NamedTuple):
    """Clips as they were read.

    Attributes:
      pixels_BFHWC: uint8 [0, 255].
      masks_BFHW: uint8, 1 = hole.
      image_sigma_B: noise level of the image condition, float32.
      image_keep_B: 0 where the image condition is dropped, else 1, float32.
      input_ids_BM: token ids of the captions, int32.
      mask_BThw: latent mask, float32, where it is not that of the recipe (`pipeline.LoaderConfig.cover_cells`).
    """

    pixels_BFHWC: jax.Array
    masks_BFHW: jax.Array
    image_sigma_B: jax.Array
    image_keep_B: jax.Array
    input_ids_BM: jax.Array | None = None
    mask_BThw: jax.Array | None = None


class LatentBatch(NamedTuple):
    """Clips of latent shards, float32; latents are scaled as the transformer sees them.

    Attributes:
      latents_BThwC: clean video.
      image_latents_BThwC: first frame followed by zeros, all zeros where the image condition is dropped.
      masked_latents_BThwC: video with black holes, of shards with masks.
      mask_BThw: latent mask (1 = hole), of shards with masks, or as in `PixelBatch`.
      text_BME: embeddings of the captions, of shards that hold them.
      input_ids_BM: token ids of the captions, int32.
      masked_BFHWC, masks_BFHW: video with black holes as pixels [-1, 1] and its masks, of shards without masks.
    """

    latents_BThwC: jax.Array
    image_latents_BThwC: jax.Array
    masked_latents_BThwC: jax.Array | None = None
    mask_BThw: jax.Array | None = None
    text_BME: jax.Array | None = None
    input_ids_BM: jax.Array | None = None
    masked_BFHWC: jax.Array | None = None
    masks_BFHW: jax.Array | None = None


def device_batch(loaded: Mapping[str, Any]) -> PixelBatch | LatentBatch:
    """The arrays of a loader's batch (`pipeline.make_loader` with ``on_device``, `latents.make_latent_loader`)."""

    def array(name: str) -> Any:
        return np.asarray(loaded[name]) if name in loaded else None

    if "latents" not in loaded:
        return PixelBatch(*map(array, ("pixels", "masks", "image_sigma", "image_keep", "input_ids", "mask")))
    names = ("latents", "image_latents", "masked_latents", "mask", "text", "input_ids", "masked_BFHWC", "masks_BFHW")
    return LatentBatch(*map(array, names))
