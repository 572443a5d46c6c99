"""Texts to embeddings, by the checkpoint's text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import checkpoint
from vp_jax.models import t5, tokenizer
from vp_jax.models.config import T5Config
from vp_jax.models.folder import TEXT_ENCODER, CheckpointFolder, abstract


def encode_texts(texts: Sequence[str], cfg: T5Config, source: CheckpointFolder, length: int) -> np.ndarray:
    """Text embeddings (B, M, E), float32.

    The text encoder is loaded for this call and freed after it: its 9.5 GB are not needed while sampling.

    Args:
      texts: B texts.
      cfg: of the text encoder.
      source: has the text encoder and its vocabulary.
      length: M.
    """
    ids_BM = tokenizer.Tokenizer(source.vocabulary()).encode(list(texts), length=length)
    graph, shapes = abstract(cfg)
    encoder = nnx.merge(graph, checkpoint.load_params(source.of(TEXT_ENCODER), shapes))
    return np.asarray(t5.encode_text(encoder, jnp.asarray(ids_BM)), np.float32)
