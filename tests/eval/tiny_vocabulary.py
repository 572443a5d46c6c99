"""A small vocabulary of CLIP's kind: bytes, bytes at the end of a word, and merges of a few words."""

import json
from pathlib import Path

from vp_jax.eval.bpe import END, START, WORD_END, byte_characters

WORDS = ("cat", "sitting", "the", "red", "house")


def merges() -> list[tuple[str, str]]:
    """Merges that build each word from the left."""
    pairs: list[tuple[str, str]] = []
    for word in WORDS:
        letters = [*word[:-1], word[-1] + WORD_END]
        left = letters[0]
        for letter in letters[1:]:
            if (left, letter) not in pairs:
                pairs.append((left, letter))
            left += letter
    return pairs


def write_vocabulary(folder: Path) -> dict[str, int]:
    """Write ``vocab.json`` and ``merges.txt``; the vocabulary."""
    letters = byte_characters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), *("".join(pair) for pair in merges()), START, END]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    return vocabulary
