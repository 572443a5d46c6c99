"""Florence-2 (arXiv 2311.06242) through transformers: names of the things in pictures.

It answers fixed tasks and no questions, so it is no `vp_jax.vlm.protocol.Vlm`. Weights come from a folder or a hub id
that the user names.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        import torch

        pictures, tasks = list(frames), [TASK] * len(frames)
        inputs = self._processor(images=pictures, text=tasks, return_tensors="pt").to(self._model.device)
        with torch.inference_mode():
            tokens = self._model.generate(**inputs, max_new_tokens=MOST_TOKENS, do_sample=False)
        counts: dict[str, int] = {}
        for row, frame_HWC in zip(tokens, pictures):
            size = (frame_HWC.shape[1], frame_HWC.shape[0])
            text = self._processor.decode(row, skip_special_tokens=False)
            found = self._processor.post_process_generation(text=text, task=TASK, image_size=size)[TASK]
            for name in dict.fromkeys(label.strip() for label in found["labels"]):
                counts[name] = counts.get(name, 0) + 1
        return sorted((name for name in counts if name), key=lambda name: -counts[name])
