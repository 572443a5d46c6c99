"""Florence-2 (arXiv 2311.06242) through transformers: names of the things in pictures.

It answers fixed tasks and no questions, so it is no `vp_jax.vlm.protocol.Vlm`. Weights come from a folder or a hub id
that the user names.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vp_jax.errors import UserError, escaped
from vp_jax.reading import show

TASK = "<OD>"
"""Object detection: names with boxes."""
MOST_TOKENS = 256


class Florence:
    """Names things.

    Args:
      weights: folder or hub id of model and processor.

    Raises:
      UserError: no weights, or none of Florence-2.
    """

    def __init__(self, weights: str) -> None:
        if not weights:
            raise UserError("florence2: no weights given, expected a folder or a hub id")
        import torch
        import transformers

        library: Any = transformers  # its classes are untyped
        try:
            self._processor = library.Florence2Processor.from_pretrained(weights)
            model = library.Florence2ForConditionalGeneration.from_pretrained(weights)
        except (OSError, ValueError, KeyError) as error:
            reason = escaped(" ".join(str(error).split()))[:200]
            raise UserError(f"florence2 {show(weights)} cannot be loaded ({reason})") from error
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def things(self, frames: Sequence[np.ndarray]) -> list[str]:
        """Names of things in pictures uint8 (H, W, 3) RGB, which go through the network together.

        Returns:
          Each name once: those in most pictures first, then in order of appearance.
        """
        return self.things_of([frames])[0]

    def things_of(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        """`things` of several videos, whose pictures all go through the network together."""
        pictures = [frame_HWC for frames in videos for frame_HWC in frames]
        names = iter([self._named(row, frame_HWC) for row, frame_HWC in zip(self._tokens(pictures), pictures)])
        return [_most_frequent(itertools.islice(names, len(frames))) for frames in videos]

    def _tokens(self, pictures: list[np.ndarray]) -> Any:
        """Answers about pictures, a row of tokens each."""
        import torch

        inputs = self._processor(images=pictures, text=[TASK] * len(pictures), return_tensors="pt")
        with torch.inference_mode():
            return self._model.generate(**inputs.to(self._model.device), max_new_tokens=MOST_TOKENS, do_sample=False)

    def _named(self, tokens: Any, frame_HWC: np.ndarray) -> list[str]:
        """Names in the answer about a picture, each once."""
        size = (frame_HWC.shape[1], frame_HWC.shape[0])
        text = self._processor.decode(tokens, skip_special_tokens=False)
        found = self._processor.post_process_generation(text=text, task=TASK, image_size=size)[TASK]
        return list(dict.fromkeys(label.strip() for label in found["labels"]))


def _most_frequent(answers: Iterable[Sequence[str]]) -> list[str]:
    counts = Counter(name for names in answers for name in names if name)
    return sorted(counts, key=lambda name: -counts[name])
