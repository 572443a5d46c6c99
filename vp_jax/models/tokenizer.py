"""Texts to T5 token ids, with the sentencepiece model ``spiece.model`` of the checkpoint (arXiv 1808.06226).

Special tokens written out in a text (``</s>``, ``<extra_id_0>`` ...) become their own ids, like in T5's original
vocabulary: sentencepiece alone would spell them letter by letter. The sentinels are the 100 ids after the pieces, in
reverse: ``<extra_id_0>`` is the last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece

from vp_jax.errors import UserError

PAD, EOS, UNK = 0, 1, 2
_NAMES = {"<pad>": PAD, "</s>": EOS, "<unk>": UNK}
_SENTINELS = 100
_SPECIAL = re.compile(r"(<pad>|</s>|<unk>|<extra_id_(?:0|[1-9]\d?)>)")


class Tokenizer:
    """T5 tokens of a ``spiece.model`` file.

    Raises:
      UserError: no such file, not a sentencepiece model, or not one of T5 (pad 0, end 1, unknown 2).
    """

    def __init__(self, model_file: str | Path) -> None:
        if not Path(model_file).is_file():
            raise UserError(
                f"no tokenizer model {model_file}: expected the file spiece.model of the checkpoint's "
                f"tokenizer/ folder (tokenizer.json does not replace it)"
            )
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
        except (RuntimeError, OSError) as error:
            raise UserError(
                f"{model_file} is not a sentencepiece model: fetch spiece.model again (an unfetched "
                f"git-lfs pointer looks like this)"
            ) from error
        found = (self._pieces.pad_id(), self._pieces.eos_id(), self._pieces.unk_id())
        if found != (PAD, EOS, UNK):
            raise UserError(
                f"{model_file} has (pad, end, unknown) = {found}: expected {(PAD, EOS, UNK)}, the vocabulary of T5"
            )

    @property
    def vocab_size(self) -> int:
        """Pieces and sentinels; the encoder's table may be padded beyond (32,100 of 32,128)."""
        return self._pieces.get_piece_size() + _SENTINELS

    def encode(self, texts: Sequence[str], length: int = 226) -> np.ndarray:
        """Ids of each text, the end token, then padding.

        Args:
          texts: B texts, may be empty.
          length: M; a longer text loses its last tokens, never the end token.

        Returns:
          int32 ``(B, M)`` in ``[0, vocab_size)``.
        """
        if isinstance(texts, str):
            raise UserError(f"the text {texts[:40]!r} was given alone: expected a list of texts")
        if length < 1:
            raise UserError(f"{length} text tokens: expected at least 1, for the end token")
        ids_BM = np.full((len(texts), length), PAD, np.int32)
        for row_M, text in zip(ids_BM, texts):
            ids = [*self._ids(text)[: length - 1], EOS]
            row_M[: len(ids)] = ids
        return ids_BM

    def _ids(self, text: str) -> list[int]:
        """Ids of a whole text without the end token."""
        ids: list[int] = []
        for part in _SPECIAL.split(text):
            if part in _NAMES:
                ids.append(_NAMES[part])
            elif _SPECIAL.fullmatch(part):
                ids.append(self.vocab_size - 1 - int(part[len("<extra_id_") : -1]))
            else:
                ids.extend(self._pieces.encode(part))
        return ids
