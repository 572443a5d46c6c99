"""Texts to T5 token ids, with the sentencepiece model ``spiece.model`` of the checkpoint (arXiv 1808.06226).

Special tokens in a text (``</s>``, ``<extra_id_0>`` ...) get the ids that they have in T5's vocabulary; sentencepiece
alone would spell them letter by letter. The sentinels are the 100 ids after the pieces, in reverse order:
``<extra_id_0>`` is the last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sentencepiece

from vp_jax.digests import check_file
from vp_jax.errors import UserError
from vp_jax.reading import check_regular, reading

PAD, EOS, UNK = 0, 1, 2
_NAMES = {"<pad>": PAD, "</s>": EOS, "<unk>": UNK}
_SENTINELS = 100
_SPACE = "\u2581"
"""The character that stands for a space in pieces."""
_SPECIAL = re.compile(r"(<pad>|</s>|<unk>|<extra_id_(?:0|[1-9]\d?)>)")


class Unused(NamedTuple):
    """Parts of a text that are missing from its ids.

    Attributes:
      tokens: number of tokens of the text, with the end token.
      length: number of tokens that the model reads.
      cut: text after those tokens.
      unknown: pieces before the cut that are not in the vocabulary, in order; the model reads the same "unknown" token
        for each.
    """

    tokens: int
    length: int
    cut: str
    unknown: tuple[str, ...]

    def __str__(self) -> str:
        parts = []
        if self.cut:
            parts.append(f"{self.tokens - self.length} of {self.tokens} tokens do not fit: {_shortened(self.cut)}")
        if self.unknown:
            parts.append(f"not in the vocabulary: {', '.join(map(_shortened, self.unknown[:5]))}")
        return "; ".join(parts)


class Tokenizer:
    """T5 tokenizer from a ``spiece.model`` file.

    Args:
      model_file: path of the file.

    Raises:
      UserError: the file is missing, damaged since it was converted, or not a sentencepiece model of T5 (pad 0, end 1,
        unknown 2).
    """

    def __init__(self, model_file: str | Path) -> None:
        if os.path.exists(model_file) and not os.path.isdir(model_file):
            check_regular(model_file)
        else:
            raise UserError(
                f"no tokenizer model {model_file}: expected the file spiece.model of the checkpoint's "
                f"tokenizer/ folder (tokenizer.json does not replace it)"
            )
        check_file(model_file)
        with reading(model_file):
            model = Path(model_file).read_bytes()
        try:
            if not model:
                raise ValueError("it is empty")
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, OSError, ValueError) as error:
            raise UserError(
                f"{model_file} is not a sentencepiece model: download spiece.model again (a git-lfs "
                f"pointer instead of the file looks like this)"
            ) from error
        found = (self._pieces.pad_id(), self._pieces.eos_id(), self._pieces.unk_id())
        if found != (PAD, EOS, UNK):
            raise UserError(
                f"{model_file} has (pad, end, unknown) = {found}: expected {(PAD, EOS, UNK)}, the vocabulary of T5"
            )

    @property
    def vocab_size(self) -> int:
        """Number of pieces and sentinels; the table of the encoder may be larger (32,128 for 32,100)."""
        return self._pieces.get_piece_size() + _SENTINELS

    def encode(
        self, texts: Sequence[str], length: int = 226, on_unused: Callable[[int, Unused], None] | None = None
    ) -> np.ndarray:
        """Token ids of each text, followed by the end token and padding.

        Args:
          texts: list of B texts, which may be empty.
          length: M; a longer text is cut before its end token.
          on_unused: called with the number of a text and the parts that are missing from its ids, if there are any.

        Returns:
          int32 ids ``(B, M)`` in ``[0, vocab_size)``.

        Raises:
          UserError: a single text instead of a list, a length below 1, or a text that is not Unicode.
        """
        if isinstance(texts, str):
            raise UserError(f"text {texts[:40]!r}: expected a list of texts")
        if length < 1:
            raise UserError(f"{length} text tokens: expected at least 1, for the end token")
        ids_BM = np.full((len(texts), length), PAD, np.int32)
        for number, (row_M, text) in enumerate(zip(ids_BM, texts)):
            ids = self._ids(text)
            if on_unused and (len(ids) >= length or UNK in ids) and (unused := self.unused(text, length)):
                on_unused(number, unused)
            ids = [*ids[: length - 1], EOS]
            row_M[: len(ids)] = ids
        return ids_BM

    def unused(self, text: str, length: int = 226) -> Unused | None:
        """Parts of a text that `encode` would leave out, ``None`` if there are none; needs no model."""
        tokens = [(id, piece) for part in _SPECIAL.split(text) for id, piece in self._tokens(part)]
        cut = "".join(piece for _, piece in tokens[length - 1 :]).replace(_SPACE, " ").strip()
        unknown = tuple(
            piece.replace(_SPACE, " ").strip()
            for id, piece in tokens[: length - 1]
            if id == UNK and piece not in _NAMES
        )
        return Unused(len(tokens) + 1, length, cut, unknown) if cut or unknown else None

    def _ids(self, text: str) -> list[int]:
        """Ids of a complete text, without the end token."""
        return [id for part in _SPECIAL.split(text) for id in self._part(part)]

    def _part(self, part: str) -> list[int]:
        """Ids of one special token, or of text without any."""
        if part in _NAMES:
            return [_NAMES[part]]
        if _SPECIAL.fullmatch(part):
            return [self.vocab_size - 1 - int(part[len("<extra_id_") : -1])]
        try:
            part.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"the text {ascii(part)[:60]} holds bytes that are not UTF-8: write it again") from error
        ids: list[int] = self._pieces.encode(part)
        return ids

    def _tokens(self, part: str) -> list[tuple[int, str]]:
        """Ids and pieces of one special token, or of text without any."""
        ids = self._part(part)
        return list(zip(ids, [part] if _SPECIAL.fullmatch(part) else self._pieces.encode(part, out_type=str)))


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}")
