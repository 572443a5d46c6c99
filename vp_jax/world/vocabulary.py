"""A small sentencepiece vocabulary for the captions of the drawn world, with T5's ids (pad 0, end 1, unknown 2).

The token table of a text encoder needs 100 rows more than there are pieces, for the sentinels of T5's tokenizer. The
command is ``vp-jax vocabulary``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from vp_jax.errors import UserError
from vp_jax.files import write_atomically
from vp_jax.media.inputs import reason
from vp_jax.schema import check_number
from vp_jax.world.looks import DEFAULT_LOOK, check_look, make_scene
from vp_jax.world.scene import caption


def world_captions(count: int, first: int = 0, look: str = DEFAULT_LOOK) -> Iterable[str]:
    """Captions of the scenes of ``count`` seeds in a look, from seed ``first``.

    Raises:
      UserError: an unknown look, or a number of captions that is not 1 to ten million.
    """
    check_number("captions", count)
    check_look(look)
    return (caption(make_scene(seed, look)) for seed in range(first, first + count))


def train_vocabulary(texts: Iterable[str], file: Path, pieces: int = 400) -> int:
    """Train a byte-pair model and write it to ``file``; the same texts give the same file.

    Args:
      texts: captions.
      file: file to write.
      pieces: largest number of pieces; few texts give fewer.

    Returns:
      The number of pieces.

    Raises:
      UserError: a number of pieces out of its range, or too few captions.
    """
    model = io.BytesIO()
    check_number("pieces", pieces)
    try:
        _train(texts, model, pieces)
    except RuntimeError as error:  # too few captions for as many pieces, or for any
        raise UserError(f"no vocabulary of {pieces} pieces can be made of these captions ({reason(error)})") from error
    write_atomically(file, lambda partial: partial.write_bytes(model.getvalue()))
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()


def _train(texts: Iterable[str], model: io.BytesIO, pieces: int) -> None:
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
