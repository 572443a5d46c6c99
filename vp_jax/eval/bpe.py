"""Texts to CLIP's tokens: byte-pair encoding with the ``vocab.json`` and ``merges.txt`` of a released model.

A text is lower-cased, its white space becomes single spaces, and it is cut into words, single digits and runs of other
signs; each piece is spelled in bytes, its last one marked, and neighbours are merged in the order of ``merges.txt``
(Sennrich et al. 2016, arXiv 1508.07909). A text that is too long loses tokens before its end token.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.digests import check_file
from vp_jax.errors import UserError
from vp_jax.reading import read_bytes, show

START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
_MOST = 64 << 20
_CONTRACTION = re.compile(r"'(?:s|t|re|ve|m|ll|d)")


def byte_characters() -> list[str]:
    """A visible character for each byte: itself where it is one, else the next free one from 256 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = (chr(256 + n) for n in range(256))
    return [chr(byte) if byte in visible else next(hidden) for byte in range(256)]


def _class_of(character: str) -> str:
    """``L`` of a letter, ``N`` of a number, a space of white space, else nothing."""
    if character.isspace():
        return " "
    category = unicodedata.category(character)[0]
    return category if category in "LN" else ""


def pieces(text: str) -> list[str]:
    """Words, single digits, English contractions, and runs of other signs; white space separates."""
    found, start = [], 0
    while start < len(text):
        kind, contraction = _class_of(text[start]), _CONTRACTION.match(text, start)
        end = start + 1
        if contraction:
            end = contraction.end()
        elif kind in ("L", ""):
            while end < len(text) and _class_of(text[end]) == kind:
                end += 1
        if kind != " ":
            found.append(text[start:end])
        start = end
    return found


class EncodedTexts(NamedTuple):
    """Ids (B, M) with the start token first; places (B,) of their end tokens; numbers (B,) of tokens left out."""

    ids_BM: np.ndarray
    ends_B: np.ndarray
    cut_B: np.ndarray


class ClipTokenizer:
    """Tokenizer of a folder with ``vocab.json`` and ``merges.txt``.

    Raises:
      UserError: a file is missing, damaged, or not a vocabulary of CLIP.
    """

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        texts = []
        for name in ("vocab.json", "merges.txt"):
            check_file(folder / name)
            texts.append(read_bytes(folder / name, _MOST).decode("utf-8", errors="replace"))
        try:
            self._ids: dict[str, int] = json.loads(texts[0])
            self._start, self._end = self._ids[START], self._ids[END]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{show(folder / 'vocab.json')}: expected the vocabulary of a CLIP model") from error
        lines = [line.split() for line in texts[1].splitlines() if line and not line.startswith("#version")]
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(lines) if len(pair) == 2}
        self._characters = byte_characters()
        self._merged = functools.lru_cache(maxsize=4096)(self._merge)

    def tokens(self, text: str) -> list[int]:
        """Ids of a text without its two special tokens."""
        text = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip().lower()
        ids = []
        for piece in pieces(text):
            letters = [self._characters[byte] for byte in piece.encode()]
            for token in self._merged((*letters[:-1], letters[-1] + WORD_END)):
                ids.append(self._ids.get(token, self._end))
        return ids

    def encode(self, texts: list[str], context: int = 77) -> EncodedTexts:
        """Ids of texts between start and end token, filled up with end tokens; what is too long is cut inside."""
        ids_BM = np.full((len(texts), context), self._end, np.int32)
        ends, cut = [], []
        for row_M, text in zip(ids_BM, texts):
            tokens = self.tokens(text)
            kept = tokens[: context - 2]
            row_M[0], row_M[1 : len(kept) + 1] = self._start, kept
            ends.append(len(kept) + 1)
            cut.append(len(tokens) - len(kept))
        return EncodedTexts(ids_BM, np.array(ends, np.int32), np.array(cut, np.int32))

    def encode_sliced(self, text: str, context: int = 77) -> tuple[np.ndarray, int]:
        """Ids (1, M) of a text as the released evaluation makes them: sliced, so that a long text has no end token.

        Returns:
          The ids, and the place of the largest id, which is read as the end: the start token's for a long text.
        """
        ids = [self._start, *self.tokens(text), self._end][:context]
        end = int(np.argmax(np.array(ids) == self._end)) if self._end in ids else 0
        return np.array([ids], np.int32), end

    def _merge(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in itertools.pairwise(parts)]
            best = min(ranks)
            if best == len(self._ranks):
                break
            first, second = parts[ranks.index(best) : ranks.index(best) + 2]
            merged: list[str] = []
            for part in parts:
                if merged and merged[-1] == first and part == second:
                    merged[-1] = first + second
                else:
                    merged.append(part)
            parts = tuple(merged)
        return parts
