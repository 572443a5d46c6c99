"""All scores by name: `SCORES`. Two protocols: ``correct``, the default, and ``reference``, the released columns.

>>> meters = Meters(scores_of(weights=()))
>>> for result_FHWC, truth_FHWC, holes_FHW in parts_of_a_clip:
...     meters.update(result_FHWC, truth_FHWC, holes_FHW)
>>> meters.values()["psnr_outside"]

docs/metrics.md explains every column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from vp_jax.errors import UserError
from vp_jax.eval.pixels import PixelGauge
from vp_jax.eval.reference import PREFIX, ReferencePixelGauge
from vp_jax.eval.regions import REGIONS, score_name
from vp_jax.eval.score import Clip, MakeGauge, Meter, Meters, Score, mean_of_clips, mean_of_frames

__all__ = ["PROTOCOLS", "SCORES", "Clip", "Meter", "Meters", "Score", "left_out", "mean_of_clips", "scores_of"]

PROTOCOLS = ("correct", "reference")

Direction = Literal["higher", "lower"]

_PLACES = {
    "whole": "of the complete frame",
    "outside": "of the background: pixels outside the hole",
    "hole": "of the hole",
    "rim": "of the band of 8 pixels on both sides of the border of the hole",
}

_ONE_SIDED = "only the result is masked: the original is compared unmasked with a result whose hole is black"
_INFINITE = "one frame equal to the original makes the average infinite"


def _by_region(name: str, better: Direction, text: str, gauge: MakeGauge, needs: str | None = None) -> Iterable[Score]:
    for place in REGIONS:
        yield Score(score_name(name, place), better, f"{text} {_PLACES[place]}", gauge, needs)


def _released(
    name: str, better: Direction, text: str, gauge: MakeGauge, footnote: str, needs: str | None = None
) -> Score:
    return Score(
        PREFIX + name, better, text, gauge, needs, protocol="reference", footnote=footnote, average=mean_of_frames
    )


def _pixel_scores() -> Iterable[Score]:
    yield from _by_region("psnr", "higher", "peak signal-to-noise ratio in dB", PixelGauge)
    yield from _by_region("mse", "lower", "mean squared error of values in [0, 1]", PixelGauge)
    yield from _by_region("mae", "lower", "mean absolute error of values in [0, 1]", PixelGauge)
    for name, better in (("psnr", "higher"), ("mse", "lower"), ("mae", "lower")):
        direction: Direction = "higher" if better == "higher" else "lower"
        note = f"; {_INFINITE}" if name == "psnr" else ""
        yield _released(name, direction, f"{name.upper()} of frames", ReferencePixelGauge, f"pixels are cut off{note}")
        yield _released(f"masked_{name}", direction, f"{name.upper()} as released", ReferencePixelGauge, _ONE_SIDED)


def _table(scores: Iterable[Score]) -> dict[str, Score]:
    table: dict[str, Score] = {}
    for score in scores:
        if score.name in table:
            raise ValueError(f"score {score.name} twice")
        table[score.name] = score
    return table


SCORES: dict[str, Score] = _table(_pixel_scores())
"""Every score by its name, in the order of the columns of a table."""


def scores_of(
    protocol: str = "correct",
    *,
    weights: Collection[str] = (),
    names: Collection[str] | None = None,
) -> list[Score]:
    """Scores of a protocol that can be computed with the given weights, in the order of `SCORES`.

    Args:
      protocol: ``correct`` or ``reference``.
      weights: names of the weights that are there.
      names: only these scores, of either protocol.

    Raises:
      UserError: no such protocol, or no such score.
    """
    if protocol not in PROTOCOLS:
        raise UserError(f"protocol {protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    unknown = [name for name in names or () if name not in SCORES]
    if unknown:
        raise UserError(f"score {unknown[0]!r}: expected one of {', '.join(SCORES)}")
    chosen = [SCORES[name] for name in names] if names is not None else SCORES.values()
    return [
        score
        for score in chosen
        if (names is not None or score.protocol == protocol) and (score.needs is None or score.needs in weights)
    ]


def left_out(protocol: str = "correct", weights: Collection[str] = ()) -> dict[str, list[str]]:
    """Names of the scores that need other weights, by the name of those weights."""
    missing: dict[str, list[str]] = {}
    for score in SCORES.values():
        if score.protocol == protocol and score.needs and score.needs not in weights:
            missing.setdefault(score.needs, []).append(score.name)
    return missing
