"""Latent shards of a run's data, with the VAE of its checkpoint: encode once, train many times.

    python -m vp_jax.runs.latent_shards --config configs/nano_branch.py --out LATENTS \
        --config.model.checkpoint=CHECKPOINT --config.data.kind=synthetic --config.data.synthetic_clips=3000

Windows, masks and noise are drawn as the run's settings say (``loader``, ``augment``, ``seed``), ``--masks`` masks and
``--images`` noisy first frames for each window. Captions are stored as they are: training embeds them, since a text
encoder costs nothing beside a VAE when it is small. Of full-size models T5's embeddings belong into the shards:
``--text``. Train with ``--config.data.kind=latents --config.data.path=LATENTS``.
"""

from __future__ import annotations

import functools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx
from ml_collections import config_flags

from vp_jax import checkpoint, trees
from vp_jax.data.augment import MaskAugment
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents
from vp_jax.errors import UserError
from vp_jax.interrupts import run_cli
from vp_jax.models.folder import AUTOENCODER, BACKBONE, TEXT_ENCODER, CheckpointFolder, abstract
from vp_jax.models.t5 import T5Encoder, encode_text
from vp_jax.models.tokenizer import Tokenizer
from vp_jax.runs import command, feed


@dataclass(frozen=True)
class CheckpointEncoders:
    """`latents_tfds.Encoders` of a checkpoint folder. Weights are read and programs compiled once per process.

    Attributes:
      folder: holds ``vae/`` and, with ``text_len``, ``text_encoder/`` and ``tokenizer/``.
      text_len: tokens of a caption, 0: no embeddings.
      dtype: of weights and computation.
    """

    folder: str
    text_len: int = 0
    dtype: str = "float32"

    def video(self, pixels_BFHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights, encode = _vae(self.folder, self.dtype)
        mean, std = jax.device_get(encode(weights, pixels_BFHWC))
        return mean, std

    def text(self, captions: list[str]) -> np.ndarray | None:
        if not self.text_len:
            return None
        encoder, tokenizer = _t5(self.folder, self.dtype)
        return np.asarray(encode_text(encoder, jnp.asarray(tokenizer.encode(captions, self.text_len))), np.float32)


@functools.lru_cache(maxsize=1)
def _vae(folder: str, dtype: str) -> tuple[trees.Tree, Any]:
    source = CheckpointFolder(Path(folder))
    graph, shapes = abstract(source.describe(AUTOENCODER, dtype=dtype, param_dtype=dtype))
    weights = checkpoint.load_params(source.of(AUTOENCODER), shapes)
    return weights, jax.jit(lambda weights, pixels: tuple(nnx.merge(graph, weights).encode(pixels)))


@functools.lru_cache(maxsize=1)
def _t5(folder: str, dtype: str) -> tuple[T5Encoder, Tokenizer]:
    source = CheckpointFolder(Path(folder))
    graph, shapes = abstract(source.describe(TEXT_ENCODER, dtype=dtype, param_dtype=dtype))
    weights = checkpoint.load_params(source.of(TEXT_ENCODER), shapes)
    return nnx.merge(graph, weights), Tokenizer(source.vocabulary())


def main(argv: list[str]) -> None:
    config_flag = config_flags.DEFINE_config_file("config", None, "Settings: a file of configs/.", lock_config=True)
    out = flags.DEFINE_string("out", None, "Folder of the shards.")
    masks = flags.DEFINE_integer("masks", 4, "Masks per window; 0: clean latents, which the backbone stage takes.")
    images = flags.DEFINE_integer("images", 2, "Noisy first frames per window.", lower_bound=1)
    windows = flags.DEFINE_integer("windows", 1, "Windows per clip.", lower_bound=1)
    text = flags.DEFINE_bool("text", False, "Store the embeddings of captions.")
    beam_options = command.parse(argv, config_flag, known_only=True)[1:]
    config = config_flag.value
    if config is None or out.value is None or not config.model.checkpoint:
        raise UserError("give --config configs/FILE.py, --out FOLDER and --config.model.checkpoint=FOLDER")
    loader = LoaderConfig(**config.loader, seed=config.seed, augment=MaskAugment(**config.augment))
    source = functools.partial(feed.open_source, feed.DataConfig(**config.data), loader)
    clips = len(source())  # what is wrong with data or checkpoint is told here, not by Beam's workers
    models = CheckpointFolder(Path(config.model.checkpoint))
    models.describe(AUTOENCODER)
    length = models.describe(BACKBONE).max_text_len if text.value else 0
    encoders = functools.partial(CheckpointEncoders, config.model.checkpoint, length, config.model.dtype)
    begin = time.perf_counter()
    folder = build_latents(
        LatentConfig(loader, masks.value, images.value, windows.value),
        source,
        encoders,
        out.value,
        config.data.split,
        beam_options or None,
    )
    seconds = time.perf_counter() - begin
    print(f"{clips} clips in {seconds:.0f} s ({clips / seconds:.2f} per second): {folder}")


if __name__ == "__main__":
    # Beam's other processes know this module by its name alone, not as __main__
    from vp_jax.runs import latent_shards

    run_cli(lambda: latent_shards.main(sys.argv))
