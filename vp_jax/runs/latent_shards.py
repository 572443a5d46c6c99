"""Latent shards of a run's data, with the VAE of its checkpoint: encode once, train many times.

The command is ``vp-jax latents``. Beam's other processes import this module to find the encoders.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from vp_jax import checkpoint, trees
from vp_jax.data.augment import MaskAugment
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents
from vp_jax.digests import weights_digest
from vp_jax.models.folder import AUTOENCODER, BACKBONE, TEXT_ENCODER, CheckpointFolder, abstract_model
from vp_jax.models.t5 import T5Encoder, encode_text
from vp_jax.models.tokenizer import Tokenizer
from vp_jax.runs.input_pipeline import DataConfig, open_source


@dataclass(frozen=True)
class CheckpointEncoders:
    """`latents_tfds.ShardEncoders` of a checkpoint folder. Weights are read and programs compiled once per process.

    Attributes:
      folder: holds ``vae/`` and, with ``text_len``, ``text_encoder/`` and ``tokenizer/``.
      text_len: tokens of a caption, 0: no embeddings.
      dtype: of weights and computation.
    """

    folder: str
    text_len: int = 0
    dtype: str = "float32"

    def video(self, pixels_BFHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation BThwC of the posterior of clips in [-1, 1], float32."""
        weights, encode = _vae(self.folder, self.dtype)
        mean, std = jax.device_get(encode(weights, pixels_BFHWC))
        return mean, std

    def text(self, captions: list[str]) -> np.ndarray | None:
        """Embeddings BME of captions, float32; ``None`` without ``text_len``."""
        if not self.text_len:
            return None
        encoder, tokenizer = _t5(self.folder, self.dtype)
        return np.asarray(encode_text(encoder, jnp.asarray(tokenizer.encode(captions, self.text_len))), np.float32)


@functools.lru_cache(maxsize=1)
def _vae(folder: str, dtype: str) -> tuple[trees.Tree, Any]:
    source = CheckpointFolder(Path(folder))
    graph, shapes = abstract_model(source.describe(AUTOENCODER, dtype=dtype, param_dtype=dtype))
    weights = checkpoint.load_params(source.of(AUTOENCODER), shapes)
    return weights, jax.jit(lambda weights, pixels: tuple(nnx.merge(graph, weights).encode(pixels)))


@functools.lru_cache(maxsize=1)
def _t5(folder: str, dtype: str) -> tuple[T5Encoder, Tokenizer]:
    source = CheckpointFolder(Path(folder))
    graph, shapes = abstract_model(source.describe(TEXT_ENCODER, dtype=dtype, param_dtype=dtype))
    weights = checkpoint.load_params(source.of(TEXT_ENCODER), shapes)
    return nnx.merge(graph, weights), Tokenizer(source.vocabulary())


def build_latent_shards(
    config: ConfigDict,
    out: str,
    *,
    masks: int = 4,
    images: int = 2,
    windows: int = 1,
    text: bool = False,
    parts: int = 1,
    beam_options: list[str] | None = None,
) -> Path:
    """Write the shards of a run's data; reports how many clips there are and how long it took.

    Args:
      config: settings of the run, see configs/common.py; they define windows, masks and noise.
      out: folder of the shards.
      masks: masks per window; 0: clean latents, as the backbone stage takes them.
      images: noisy first frames per window.
      windows: windows per clip.
      text: store the embeddings of captions too.
      parts: see `latents_tfds.build_latents`.
      beam_options: see `vpdata_tfds.prepare`.

    Raises:
      UserError: settings, data or a checkpoint that cannot be used.
    """
    loader = LoaderConfig(**config.loader, seed=config.seed, augment=MaskAugment(**config.augment))
    cfg = LatentConfig(loader, masks, images, windows)
    source = functools.partial(open_source, DataConfig(**config.data), loader)
    clips = len(source())  # what is wrong with data or checkpoint is reported here, not by Beam's workers
    models = CheckpointFolder(Path(config.model.checkpoint))
    models.describe(AUTOENCODER)
    length = models.describe(BACKBONE).max_text_len if text else 0
    encoders = functools.partial(CheckpointEncoders, config.model.checkpoint, length, config.model.dtype)
    made_with = {
        "data": config.data.to_dict(),
        "settings": dataclasses.asdict(cfg),
        "text": text,
        "dtype": config.model.dtype,
        "vae": weights_digest([models.of(AUTOENCODER)]),
    }
    begin = time.perf_counter()
    shards = build_latents(
        cfg, source, encoders, out, config.data.split, beam_options, parts=parts, made_with=made_with
    )
    seconds = time.perf_counter() - begin
    print(f"{clips} clips in {seconds:.0f} s ({clips / seconds:.2f} per second): {shards}")
    return shards
