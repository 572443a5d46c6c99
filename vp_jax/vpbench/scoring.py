"""Scores of one result: the registry of `vp_jax.eval.scores`, fed with streams, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from vp_jax.eval.regions import OUTSIDE
from vp_jax.eval.score import ClipFacts, Meters, Score
from vp_jax.eval.scores import scores_of
from vp_jax.media.frames import Frames, again
from vp_jax.vpbench.clips import BenchClip, BenchInputs

BLOCK_FRAMES = 8
"""Frames that are in memory at once."""


class Windows(NamedTuple):
    """First frame of each window of a result, and the frames that neighbours share."""

    starts: tuple[int, ...]
    overlap: int


ScoreValue = float | list[float]
"""A number, or features of a clip for scores of a set."""


def chosen_scores(names: Sequence[str] | None, protocol: str, weights: Sequence[str] = ()) -> list[Score]:
    """Scores by name, or all of a protocol whose weights are there. `UserError` for unknown names."""
    return scores_of(protocol, weights=weights, names=names or None)


def score_result(
    result_FHWC: Frames,
    clip: BenchClip,
    inputs: BenchInputs,
    scores: Sequence[Score],
    *,
    networks: Mapping[str, Any] | None = None,
    paste: bool = False,
    windows: Windows | None = None,
) -> dict[str, ScoreValue]:
    """Every score of a result; without a known truth only those that need none.

    Args:
      result_FHWC: uint8, at the size of the clip; it may have fewer frames.
      clip: its captions.
      inputs: the clip, open.
      scores: what is computed.
      networks: networks of the scores that need one.
      paste: outside the hole, take the source's pixels.
      windows: in which the result was generated, where that is known.
    """
    known = inputs.truth_FHWC is not None
    used = [score for score in scores if known or needs_no_truth(score)]
    starts, overlap = windows or Windows((0,), 0)
    meters = Meters(used, ClipFacts(clip.prompt, clip.target, starts, overlap), networks)
    for result, truth, source, holes in _blocks(result_FHWC, inputs):
        if paste:
            result = np.where(holes[..., None], result, source)
        meters.update(result, truth, holes)
    found = meters.values()
    return {name: value.tolist() if isinstance(value, np.ndarray) else float(value) for name, value in found.items()}


def needs_no_truth(score: Score) -> bool:
    """The score compares the background alone, or compares with words, or with the result itself.

    Columns of the released program compare with the source, whatever the task, and are repeated as they are.
    """
    alone = score.name == "exclusivity" or score.name.startswith("removal_")
    alone = alone or score.needs in ("clip_vit_l14", "clip_vit_b32", "vlm")
    return alone or score.protocol == "reference" or score.name.endswith(f"_{OUTSIDE}")


def _blocks(
    result_FHWC: Frames, inputs: BenchInputs
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    source = inputs.frames_FHWC
    truth = source if inputs.truth_FHWC is None else inputs.truth_FHWC
    streams = zip(result_FHWC, again(truth), again(source), again(inputs.holes_FHW))
    while block := list(islice(streams, BLOCK_FRAMES)):
        result, true, given, holes = (np.stack(part) for part in zip(*block))
        yield result, true, given, holes
