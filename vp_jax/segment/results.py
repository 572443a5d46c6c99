"""What a backend gives for each frame, and what every backend is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from vp_jax.segment.prompts import AnyPrompt


class Tracked(NamedTuple):
    """The things of one frame.

    Attributes:
      frame: its number.
      labels_HW: uint8; 0 where no thing is, k where thing k is.
      confidence: of each thing's mask, 0 to 1.
      lost: things that were lost: out of sight or not to be told from the background. Their mask is empty.
    """

    frame: int
    labels_HW: np.ndarray
    confidence: dict[int, float]
    lost: frozenset[int] = frozenset()


class Backend(Protocol):
    """Tracks things from the first frame to the last, and yields a result for each frame as soon as it can."""

    def track(self, frames: Iterable[np.ndarray], prompts: Sequence[AnyPrompt]) -> Iterator[Tracked]:
        """Track the things of ``prompts``, whose frames count from the first of ``frames``.

        Args:
          frames: uint8 (H, W, 3) RGB of one size, read once.
          prompts: checked by `vp_jax.segment.prompts.check_prompts`; a thing has no mask before its first one. A
            prompt on a later frame corrects the track there and keeps what was learned before.
        """
