"""A small sentencepiece vocabulary of the world's captions, in T5's conventions (pad 0, end 1, unknown 2).

    python -m vp_jax.world.vocabulary OUT.model [--captions 20000] [--pieces 400]

A text encoder's table needs 100 rows more than there are pieces, for the sentinels that T5's tokenizer counts.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from vp_jax.interrupts import run_cli
from vp_jax.world.synthetic import VOCABULARY, caption, make_scene


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--captions", type=int, default=20_000)
    parser.add_argument("--pieces", type=int, default=400)
    args = parser.parse_args()
    print(
        f"{train(world_captions(args.captions), args.out, args.pieces)} pieces in {args.out}; "
        f"the world's captions have {len(VOCABULARY)} words"
    )


if __name__ == "__main__":
    run_cli(main)
