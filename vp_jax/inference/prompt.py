"""Prompts as text embeddings. Nothing here needs JAX."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.arrays import read_arrays


class Prompt(NamedTuple):
    """Text embeddings of a prompt, float32 (M, E) each.

    Attributes:
      positive_ME: of the prompt.
      negative_ME: of the negative prompt, "" by default.
    """

    positive_ME: np.ndarray
    negative_ME: np.ndarray

    @classmethod
    def read(cls, path: str | Path) -> Prompt:
        """Embeddings from an .npz of ``prompt_embeds`` and ``negative_prompt_embeds``, (1, M, E) each.

        Raises:
          UserError: another kind of file, or other shapes.
        """
        names = ("prompt_embeds", "negative_prompt_embeds")
        try:
            pair = [array.astype(np.float32) for array in read_arrays(path, names, kinds="f").values()]
        except UserError as error:
            reason = str(error).partition(": ")[2] or str(error)
            raise UserError(f"{path}: expected an .npz of {' and '.join(names)} ({reason})") from error
        shapes = [array.shape for array in pair]
        if shapes[0] != shapes[1] or len(shapes[0]) != 3 or shapes[0][0] != 1 or 0 in shapes[0]:
            raise UserError(f"{path}: embeddings of shapes {shapes[0]} and {shapes[1]}, expected (1, M, E) twice")
        if not all(np.isfinite(array).all() for array in pair):
            raise UserError(f"{path}: the embeddings hold NaN or infinity, make them again")
        return cls(pair[0][0], pair[1][0])

    def batch(self, guided: bool) -> np.ndarray:
        """Text of a batch of one: [negative, positive] under guidance, else [positive]."""
        return np.stack([self.negative_ME, self.positive_ME] if guided else [self.positive_ME])
