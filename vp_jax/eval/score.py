"""What a score is: a name, a direction, and a gauge that takes the frames of a clip in order.

    clip, networks --> gauge --update(result, truth, holes)--> ... --> values by name --> average over clips

Scores that share their arithmetic (PSNR and MSE, SSIM of several regions) share a gauge; `Meters` makes one gauge for
all the names that it can answer. `vp_jax.eval.scores.SCORES` lists every score.

Frames are float in [0, 1] or uint8; holes are bool, True where pixels were generated. An update takes any number of
frames, so a clip of any length is measured in constant memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from vp_jax.errors import UserError

Value = float | np.ndarray
"""A number, NaN where there is nothing to measure; or the features of one clip, for a score of a set of clips."""


@dataclasses.dataclass(frozen=True)
class ClipFacts:
    """What is known about a clip besides its pixels.

    Attributes:
      caption: text of the complete picture.
      object_caption: text of what the hole should show.
      starts: first frame of each window in which the result was generated.
      overlap: frames that neighbouring windows share.
    """

    caption: str = ""
    object_caption: str = ""
    starts: tuple[int, ...] = (0,)
    overlap: int = 0


class Gauge(Protocol):
    """Measures one clip, for one or more scores."""

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""

    def values(self) -> dict[str, Value]:
        """Values by the names of scores, of the frames so far."""


Networks = Mapping[str, Any]
"""Networks by the name of their weights, as `vp_jax.eval.weights.load` gives them."""

MakeGauge = Callable[[Collection[str], ClipFacts, Networks], Gauge]
"""Makes a gauge for the scores of these names."""


def mean_of_clips(values: Sequence[Value], frames: Sequence[int]) -> float:
    """Mean over clips, each with the same weight; clips without a value (NaN) are left out."""
    kept = [float(value) for value in values if not math.isnan(float(value))]
    return float(np.mean(kept)) if kept else math.nan


def mean_of_frames(values: Sequence[Value], frames: Sequence[int]) -> float:
    """Mean over the frames of all clips pooled: long clips weigh more. The released program's average."""
    return float(np.average([float(value) for value in values], weights=frames)) if len(values) else math.nan


@dataclasses.dataclass(frozen=True)
class Score:
    """One column of a table.

    Attributes:
      name: its key in ``SCORES``; names of the reference protocol begin with ``reference_``.
      better: the direction in which results improve.
      text: what it measures, in one line.
      gauge: makes what computes it.
      needs: name of the weights that it needs; ``None``: none.
      protocol: ``correct``, or ``reference`` for a column of the released program, repeated with its faults.
      footnote: what is wrong with a column of the reference protocol.
      average: values and numbers of frames of all clips -> the value of the set.
      wants: fields of `ClipFacts` without which there is no value.
    """

    name: str
    better: Literal["higher", "lower"]
    text: str
    gauge: MakeGauge
    needs: str | None = None
    protocol: Literal["correct", "reference"] = "correct"
    footnote: str = ""
    average: Callable[[Sequence[Value], Sequence[int]], float] = mean_of_clips
    wants: tuple[str, ...] = ()

    def compute(self, clip: ClipFacts | None = None, networks: Networks | None = None) -> Meter:
        """A fresh object that computes this score of one clip. Raises `UserError` if its network is not given."""
        return Meter(self, clip or ClipFacts(), networks or {})


class Meter:
    """Computes one score of one clip: `update` with frames in order, then `value`."""

    def __init__(self, score: Score, clip: ClipFacts, networks: Networks) -> None:
        check_networks([score], networks)
        self._name, self._gauge = score.name, score.gauge([score.name], clip, networks)

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames, see `check_frames` for what is refused."""
        check_frames(result_FHWC, truth_FHWC, holes_FHW)
        self._gauge.update(result_FHWC, truth_FHWC, holes_FHW)

    def value(self) -> Value:
        """The score of the frames so far."""
        return self._gauge.values()[self._name]


class Meters:
    """Computes many scores of one clip at once; what they share is computed once.

    Args:
      scores: the scores.
      clip: captions and windows of the clip.
      networks: networks by the name of their weights.

    Attributes:
      frames: number of frames so far.

    Raises:
      UserError: a network is missing.
    """

    def __init__(
        self, scores: Sequence[Score], clip: ClipFacts | None = None, networks: Networks | None = None
    ) -> None:
        check_networks(scores, networks or {})
        self.frames = 0
        self._names = [score.name for score in scores]
        makers: dict[MakeGauge, list[str]] = {}
        for score in scores:
            makers.setdefault(score.gauge, []).append(score.name)
        self._gauges = [make(names, clip or ClipFacts(), networks or {}) for make, names in makers.items()]

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames, see `check_frames` for what is refused."""
        check_frames(result_FHWC, truth_FHWC, holes_FHW)
        self.frames += len(result_FHWC)
        for gauge in self._gauges:
            gauge.update(result_FHWC, truth_FHWC, holes_FHW)

    def values(self) -> dict[str, Value]:
        """Every score by its name, of the frames so far."""
        found = {name: value for gauge in self._gauges for name, value in gauge.values().items()}
        return {name: found[name] for name in self._names}


def check_networks(scores: Sequence[Score], networks: Networks) -> None:
    """Raise `UserError` if a score needs a network that is not there."""
    missing = {score.needs: score.name for score in scores if score.needs and score.needs not in networks}
    if missing:
        weights, name = next(iter(missing.items()))
        raise UserError(f"score {name} needs the weights {weights}: give their network, or leave the score out")


def check_frames(result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
    """Raise `UserError` unless the arrays fit together: colour frames of one size and type, bool holes."""
    shape = tuple(result_FHWC.shape)
    if len(shape) != 4 or shape[-1] != 3 or tuple(truth_FHWC.shape) != shape:
        raise UserError(
            f"result {shape} and truth {tuple(truth_FHWC.shape)}: expected frames of one size, (frames, rows, "
            f"columns, 3)"
        )
    if tuple(holes_FHW.shape) != shape[:3] or holes_FHW.dtype != bool:
        raise UserError(f"holes {holes_FHW.dtype} {tuple(holes_FHW.shape)}: expected bool {shape[:3]}")
    for name, frames_FHWC in (("result", result_FHWC), ("truth", truth_FHWC)):
        if frames_FHWC.dtype != np.uint8 and frames_FHWC.dtype.kind != "f":
            raise UserError(f"{name} of type {frames_FHWC.dtype}: expected uint8, or float in [0, 1]")
