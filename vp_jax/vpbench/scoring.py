"""Scores of one result: the registry of `vp_jax.eval.scores`, fed with streams, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from vp_jax.eval.regions import OUTSIDE
from vp_jax.eval.score import Clip, Meters, Score
from vp_jax.eval.scores import scores_of
from vp_jax.media.frames import Frames, again
from vp_jax.vpbench.clips import BenchClip, BenchInputs

BLOCK_FRAMES = 8
"""Frames that are in memory at once."""

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
) -> dict[str, ScoreValue]:
    """Every score of a result; without a known truth only those of the background.

    Args:
      result_FHWC: uint8, at the size of the clip; it may have fewer frames.
      clip: its captions.
      inputs: the clip, open.
      scores: what is computed.
      networks: networks of the scores that need one.
      paste: outside the hole, take the source's pixels.
    """
    known = inputs.truth_FHWC is not None
    used = [score for score in scores if known or outside_only(score)]
    meters = Meters(used, Clip(clip.prompt, clip.target), networks)
    for result, truth, source, holes in _blocks(result_FHWC, inputs):
        if paste:
            result = np.where(holes[..., None], result, source)
        meters.update(result, truth, holes)
    found = meters.values()
    return {name: value.tolist() if isinstance(value, np.ndarray) else float(value) for name, value in found.items()}


def outside_only(score: Score) -> bool:
    """The score looks at the background alone, which the source shows even if nobody knows what the hole should."""
    return score.protocol == "correct" and score.name.endswith(f"_{OUTSIDE}")


def _blocks(
    result_FHWC: Frames, inputs: BenchInputs
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    source = inputs.frames_FHWC
    truth = source if inputs.truth_FHWC is None else inputs.truth_FHWC
    streams = zip(result_FHWC, again(truth), again(source), again(inputs.holes_FHW))
    while block := list(islice(streams, BLOCK_FRAMES)):
        result, true, given, holes = (np.stack(part) for part in zip(*block))
        yield result, true, given, holes
