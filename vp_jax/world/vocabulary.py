"""A small sentencepiece vocabulary of the world's captions, in T5's conventions (pad 0, end 1, unknown 2).

The command is ``vp-jax vocabulary``. A text encoder's table needs 100 rows more than there are pieces, for the
sentinels that T5's tokenizer counts.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from vp_jax.world.synthetic import caption, make_scene


def world_captions(count: int, first: int = 0) -> Iterable[str]:
    """Captions of the scenes of ``count`` seeds."""
    return (caption(make_scene(seed)) for seed in range(first, first + count))


def train(texts: Iterable[str], file: Path, pieces: int = 400) -> int:
    """Write a byte-pair model of at most ``pieces`` pieces to ``file``; the same texts give the same file.

    Args:
      texts: captions.
      file: to write.
      pieces: at most; fewer where the texts do not have as many.

    Returns:
      Number of pieces.
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
