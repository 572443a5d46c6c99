"""A small sentencepiece vocabulary for the captions of the drawn world, with T5's ids (pad 0, end 1, unknown 2).

The token table of a text encoder needs 100 rows more than there are pieces, for the sentinels of T5's tokenizer. The
command is ``vp-jax vocabulary``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from vp_jax.world.synthetic import caption, make_scene


def world_captions(count: int, first: int = 0) -> Iterable[str]:
    """Captions of the scenes of ``count`` seeds, from seed ``first``."""
    return (caption(make_scene(seed)) for seed in range(first, first + count))


def train_vocabulary(texts: Iterable[str], file: Path, pieces: int = 400) -> int:
    """Train a byte-pair model and write it to ``file``; the same texts give the same file.

    Args:
      texts: captions.
      file: file to write.
      pieces: largest number of pieces; few texts give fewer.

    Returns:
      The number of pieces.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=pieces,
        hard_vocab_limit=False,
        model_type="bpe",
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()
