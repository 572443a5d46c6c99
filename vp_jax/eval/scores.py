"""All scores by name: `SCORES`. Two protocols: ``correct``, the default, and ``reference``, the released columns.

>>> meters = Meters(scores_of(weights=()))
>>> for result_FHWC, truth_FHWC, holes_FHW in parts_of_a_clip:
...     meters.update(result_FHWC, truth_FHWC, holes_FHW)
>>> meters.values()["psnr_outside"]

The page "metrics" of the documentation explains every column.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable
from typing import Literal

from vp_jax.errors import UserError
from vp_jax.eval.background import ExclusivityGauge
from vp_jax.eval.detail import DetailGauge
from vp_jax.eval.features import DINO_DISTANCE, DinoGauge
from vp_jax.eval.flow import raft_gauge
from vp_jax.eval.fvd import ReferenceFvdGauge, distance_of_clips, fvd_gauge, released_distance, videomae_gauge
from vp_jax.eval.motion import FlickerGauge, WindowsGauge, dis_gauge
from vp_jax.eval.perceptual import ReferenceLpipsGauge, lpips_gauge
from vp_jax.eval.pixels import PixelGauge
from vp_jax.eval.questions import FOLLOWED, QUALITY, QuestionGauge
from vp_jax.eval.reference import PREFIX, ReferencePictureGauge
from vp_jax.eval.reference_text import ReferenceConsistencyGauge, ReferenceTextGauge
from vp_jax.eval.regions import HOLE, REGIONS, WHOLE, score_name
from vp_jax.eval.removal import RemovalGauge
from vp_jax.eval.score import ClipFacts, MakeGauge, Meter, Meters, Score, mean_of_clips, mean_of_frames
from vp_jax.eval.similarity import SimilarityGauge
from vp_jax.eval.text import CONSISTENCY, text_gauge

__all__ = ["PROTOCOLS", "SCORES", "ClipFacts", "Meter", "Meters", "Score", "left_out", "mean_of_clips", "scores_of"]

PROTOCOLS = ("correct", "reference")

Direction = Literal["higher", "lower"]

_PLACES = {
    "whole": "of the complete frame",
    "outside": "of the background: pixels outside the hole",
    "hole": "of the hole",
    "rim": "of the band of 8 pixels on both sides of the border of the hole",
}

_ONE_SIDED = "only the result is masked: the original is compared unmasked with a result whose hole is black"
_SLICED = "captions of more than 75 tokens lose their end token: all of them give the same text vector"
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


def _picture_scores() -> Iterable[Score]:
    yield from _by_region("psnr", "higher", "peak signal-to-noise ratio in dB", PixelGauge)
    yield from _by_region("ssim", "higher", "structural similarity", SimilarityGauge)
    yield from _by_region("mse", "lower", "mean squared error of values in [0, 1]", PixelGauge)
    yield from _by_region("mae", "lower", "mean absolute error of values in [0, 1]", PixelGauge)
    for net in ("squeeze", "alex", "vgg"):
        name = f"lpips_{net}"
        yield from _by_region(name, "lower", f"LPIPS of {net} features", lpips_gauge(name), name)
    yield from _by_region("sharpness", "higher", "detail relative to the truth, 0 to 1", DetailGauge)
    yield Score("exclusivity", "higher", "share of the background that did not change", ExclusivityGauge)


def _temporal_scores() -> Iterable[Score]:
    yield from _by_region("flicker", "lower", "changes from frame to frame that the truth has not", FlickerGauge)
    yield from _by_region("warping_error_dis", "lower", "warping error x 1000 with DIS flow", dis_gauge)
    yield from _by_region("warping_error_raft", "lower", "warping error x 1000 with RAFT flow", raft_gauge, "raft")
    for place in (WHOLE, HOLE):
        text = f"cosine of consecutive frames in CLIP {_PLACES[place]}"
        yield Score(score_name(CONSISTENCY, place), "higher", text, text_gauge("clip_vit_b32"), "clip_vit_b32")
    windows = (
        ("seam_jump", "largest change where windows meet, in medians"),
        ("colour_drift", "distance of each window's colour error from the first window's"),
        ("identity_drift", "the same inside the hole, without its rim"),
    )
    for name, text in windows:
        yield Score(name, "lower", text, WindowsGauge, wants=("starts",))


def _semantic_scores() -> Iterable[Score]:
    for weights in ("clip_vit_l14", "clip_vit_b32"):
        for place, caption in ((WHOLE, "caption"), (HOLE, "object_caption")):
            text = f"CLIP similarity, 0 to 100, with the {caption.replace('_', ' ')} {_PLACES[place]}"
            yield Score(score_name(weights, place), "higher", text, text_gauge(weights), weights, wants=(caption,))
    for place in (WHOLE, HOLE):
        text = f"distance of DINOv2 features {_PLACES[place]}"
        yield Score(score_name(DINO_DISTANCE, place), "lower", text, DinoGauge, "dinov2")
    wants = ("object_caption",)
    text = "how completely the hole shows what was asked for, 0 to 1: a mark by a vision-language model"
    yield Score(FOLLOWED, "higher", text, QuestionGauge, "vlm", wants=wants)
    text = "how real the hole looks, 0 to 1: a mark by a vision-language model"
    yield Score(QUALITY, "higher", text, QuestionGauge, "vlm", wants=wants)
    text = "how much a filled hole looks like its surroundings: spatial removal coherence"
    yield Score("removal_spatial", "higher", text, RemovalGauge, "dinov2")
    text = "how much a filled hole changes over time: temporal removal coherence"
    yield Score("removal_temporal", "lower", text, RemovalGauge, "dinov2")
    text = "Frechet distance of I3D features of all clips"
    yield Score("fvd", "lower", text, fvd_gauge, "i3d", average=distance_of_clips)
    text = "Frechet distance of VideoMAE features of all clips: content-debiased FVD"
    yield Score("frechet_videomae", "lower", text, videomae_gauge, "videomae", average=distance_of_clips)


def _reference_scores() -> Iterable[Score]:
    columns: tuple[tuple[str, Direction, str], ...] = (
        ("psnr", "higher", f"; {_INFINITE}"),
        ("ssim", "higher", ""),
        ("mse", "lower", ""),
        ("mae", "lower", ""),
    )
    for name, better, note in columns:
        cut = f"pixels are cut off to levels, and levels 1 to 63 of the original lose one{note}"
        yield _released(name, better, f"{name.upper()} of frames", ReferencePictureGauge, cut)
    for name, better, _ in columns:
        yield _released(f"masked_{name}", better, f"{name.upper()} as released", ReferencePictureGauge, _ONE_SIDED)
    lpips, clip = "lpips_squeeze", "clip_vit_l14"
    cut = "pixels are cut off to levels, and levels 1 to 63 of the original lose one"
    yield _released("lpips", "lower", "LPIPS of squeeze features", ReferenceLpipsGauge, cut, lpips)
    yield _released("masked_lpips", "lower", "LPIPS as released", ReferenceLpipsGauge, _ONE_SIDED, lpips)
    for name, seen, note in (
        ("clip_score", "frames, caption", _SLICED),
        ("masked_clip_score", "hole, caption", f"{_SLICED}; the rest is black"),
        ("masked_region_clip_score", "hole, object caption", "the middle square alone is seen, the rest is black"),
    ):
        yield _released(name, "higher", f"CLIP score as released: {seen}", ReferenceTextGauge, note, clip)
    for name in (CONSISTENCY, f"masked_{CONSISTENCY}"):
        note = "frames are squashed and not normalised, as CLIP was not trained"
        text = "cosine of consecutive frames, as released"
        yield dataclasses.replace(
            _released(name, "higher", text, ReferenceConsistencyGauge, note, "clip_vit_b32"), average=mean_of_clips
        )
    note = "pixels in [0, 1] and statistics of each clip, as I3D was not trained; root of covariances without full rank"
    text = "Frechet distance as released (FID_Score, VFID)"
    yield dataclasses.replace(
        _released("fvd", "lower", text, ReferenceFvdGauge, note, "i3d"), average=released_distance
    )


def _table(scores: Iterable[Score]) -> dict[str, Score]:
    table: dict[str, Score] = {}
    for score in scores:
        if score.name in table:
            raise ValueError(f"score {score.name} twice")
        table[score.name] = score
    return table


SCORES: dict[str, Score] = _table(
    itertools.chain(_picture_scores(), _temporal_scores(), _semantic_scores(), _reference_scores())
)
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
