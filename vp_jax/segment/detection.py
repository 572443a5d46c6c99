"""Boxes of things that are named in words, by Grounding DINO through transformers.

All pictures of a question go through the network together. Weights come from a folder or a hub id that the user names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vp_jax.segment.loading import pretrained, torch_device, transformers_classes


class Found(NamedTuple):
    """A box in pixels, its score in [0, 1], and the words that it was found by."""

    x: float
    y: float
    width: float
    height: float
    score: float
    words: str


class Detector:
    """Grounding DINO (arXiv 2303.05499).

    Args:
      weights: folder or hub id of model and processor.
      threshold: least score of a box.
      device: of torch.
      backend: its name in errors.

    Raises:
      UserError: no weights, or no packages to read them with.
    """

    def __init__(
        self,
        weights: str | None,
        threshold: float = 0.3,
        device: str | None = None,
        backend: str = "grounding_dino",
    ) -> None:
        kinds = transformers_classes(backend, weights, "GroundingDinoForObjectDetection", "GroundingDinoProcessor")
        self._device, self._threshold = device or torch_device(), threshold
        self._model = pretrained(kinds[0], weights).to(self._device).eval()
        self._processor = pretrained(kinds[1], weights)

    def boxes(self, frames: Sequence[np.ndarray], words: Sequence[str]) -> list[list[Found]]:
        """Boxes of every frame, the surest first.

        Args:
          frames: uint8 (H, W, 3) RGB of one size.
          words: what is looked for; each a noun phrase.
        """
        return self.boxes_of(frames, [words] * len(frames))

    def boxes_of(self, frames: Sequence[np.ndarray], words: Sequence[Sequence[str]]) -> list[list[Found]]:
        """`boxes` with words for each frame; all frames go through the network together."""
        import torch

        texts = [" ".join(f"{phrase.strip().lower().rstrip('.')}." for phrase in own) for own in words]
        inputs = self._processor(images=list(frames), text=texts, padding=True, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            out = self._model(**inputs)
        sizes = [frame_HWC.shape[:2] for frame_HWC in frames]
        answers = self._processor.post_process_grounded_object_detection(
            out, inputs.input_ids, threshold=self._threshold, text_threshold=0.0, target_sizes=sizes
        )
        return [_found(answer, size) for answer, size in zip(answers, sizes)]


def _found(answer: Any, size: tuple[int, ...]) -> list[Found]:
    """Boxes within a picture (H, W); those without a pixel in it are left out."""
    height, width = size[:2]
    out = []
    names = answer.get("text_labels") or answer["labels"]
    for (x0, y0, x1, y1), score, words in zip(answer["boxes"].tolist(), answer["scores"].tolist(), names):
        left, top = max(0.0, x0), max(0.0, y0)
        across, down = min(x1, width) - left, min(y1, height) - top
        if across >= 1 and down >= 1:
            out.append(Found(left, top, across, down, float(score), str(words)))
    return sorted(out, key=lambda box: -box.score)
