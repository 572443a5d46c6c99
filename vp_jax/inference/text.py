"""Texts to embeddings, by the checkpoint's text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vp_jax import checkpoint
from vp_jax.models import t5
from vp_jax.models.config import T5Config
from vp_jax.models.folder import BACKBONE, TEXT_ENCODER, CheckpointFolder, abstract_model
from vp_jax.models.tokenizer import Tokenizer


def encode_texts(
    texts: Sequence[str], cfg: T5Config, source: CheckpointFolder, length: int, at_once: int | None = None
) -> np.ndarray:
    """Text embeddings (B, M, E), float32.

    The text encoder is loaded for this call and freed after it: its 9.5 GB are not needed while sampling.

    Args:
      texts: B texts.
      cfg: of the text encoder.
      source: has the text encoder and its vocabulary.
      length: M.
      at_once: texts that go through the encoder together; default: all.
    """
    ids_BM = Tokenizer(source.vocabulary()).encode(list(texts), length=length)
    graph, shapes = abstract_model(cfg)
    encoder = nnx.merge(graph, checkpoint.load_params(source.of(TEXT_ENCODER), shapes))
    size = at_once or len(texts)
    parts = [ids_BM[begin : begin + size] for begin in range(0, len(texts), size)]
    return np.concatenate([np.asarray(t5.encode_text(encoder, jnp.asarray(part)), np.float32) for part in parts])


def unread(texts: Sequence[str], source: CheckpointFolder) -> list[str]:
    """What the text encoder of a checkpoint would not read of ``texts``: one line for each that loses something.

    Reads the vocabulary and a description, no weights; a checkpoint without text encoder reads everything.
    """
    if not (source.has(TEXT_ENCODER) and source.has(BACKBONE) and source.vocabulary().is_file()):
        return []
    tokenizer, length = Tokenizer(source.vocabulary()), source.describe(BACKBONE).max_text_len
    found = [(text, tokenizer.unused(text, length)) for text in texts]
    return [f"{text[:40]!r} is not read completely: {unused}" for text, unused in found if unused]
