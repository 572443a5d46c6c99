"""A small sentencepiece vocabulary of the drawn world's captions, in T5's conventions (pad 0, end 1, unknown 2).

    vp-jax vocabulary OUT.model [--captions 20000] [--pieces 400] [--look lit]

A text encoder's table needs 100 rows more than there are pieces, for the sentinels that T5's tokenizer counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vp_jax.cli.parser import Parser


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.add_argument("out", type=Path, metavar="OUT.model")
    parser.add_argument("--captions", type=int, default=20_000, help="captions to learn from; default: 20000")
    parser.add_argument("--pieces", type=int, default=400, help="at most; default: 400")
    parser.add_argument("--look", default="lit", help="of the world: lit (default), as the packaged model, or flat")


def run(args: argparse.Namespace) -> None:
    """Write the vocabulary and say how many pieces it has."""
    from vp_jax.world.looks import caption_words
    from vp_jax.world.vocabulary import train_vocabulary, world_captions

    pieces = train_vocabulary(world_captions(args.captions, look=args.look), args.out, args.pieces)
    print(f"{pieces} pieces in {args.out}; the world's captions have {len(caption_words(args.look))} words")
