"""Numbers of a validation: PSNR and sharpness against the pixels, and rows of fillings without a model beside them.

row               what it shows
vae               the true clip through the autoencoder: what no model in front of it can exceed
stretched_frame   frame 0's thing, from the box of the first hole, resized to the box of every later hole
diffusion         colours of the kept pixels diffused into the hole, see `vp_jax.inference.hole_fill`

A model that was trained well exceeds the last two. PSNR favours blur, so sharpness stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vp_jax.eval import video_metrics
from vp_jax.eval.detail import detail_sums
from vp_jax.eval.regions import HOLE, WHOLE
from vp_jax.inference.hole_fill import diffusion_fill, stretched_frame


class Samples(NamedTuple):
    """uint8 pixels (B, F, H, W, 3) and bool holes (B, F, H, W)."""

    original: np.ndarray
    holes: np.ndarray
    result: np.ndarray


def scores(samples: Samples) -> dict[str, float]:
    """Means over the clips: ``hole_psnr``, ``psnr`` in dB, ``hole_sharpness``, ``sharpness`` from 0 to 1 (the truth's).

    Those of holes are NaN without holes.
    """
    sharp = np.array([_sharpness(*clip) for clip in zip(*samples)])
    open_B = samples.holes.any((1, 2, 3))
    return {
        "hole_psnr": hole_psnr(samples),
        "psnr": clip_psnr(samples),
        "hole_sharpness": _known_mean(sharp[open_B, 0]),
        "sharpness": _known_mean(sharp[:, 1]),
    }


def hole_psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR in the hole, dB; NaN without holes. High is faithful, not beautiful."""
    values = [video_metrics.psnr(original, result, holes) for original, holes, result in zip(*samples) if holes.any()]
    return float(np.mean(values)) if values else float("nan")


def clip_psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR of whole clips, dB."""
    return hole_psnr(samples._replace(holes=np.ones_like(samples.holes)))


def _known_mean(values: np.ndarray) -> float:
    """Mean of those that are not NaN, NaN if there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _sharpness(original_FHWC: np.ndarray, holes_FHW: np.ndarray, result_FHWC: np.ndarray) -> list[float]:
    """Of the hole and of complete frames, see `vp_jax.eval.detail`; NaN where neither shows any detail."""
    sums = np.asarray(detail_sums(result_FHWC, original_FHWC, holes_FHW, (HOLE, WHOLE)), np.float64).sum(0)
    return [float(pair.min() / pair.max()) if pair.max() > 0 else math.nan for pair in sums]


def rows(samples: Samples, unseen_BFHW: np.ndarray, decoded_BFHWC: np.ndarray | None) -> dict[str, dict[str, float]]:
    """Scores of the rows above; fillings only where there are holes, the stretched frame only where frame 0 is given.

    Args:
      samples: originals and holes, which are judged; their results are not used.
      unseen_BFHW: bool, pixels that a filling may not read; holes are among them.
      decoded_BFHWC: the originals through the autoencoder, uint8; ``None``: no such row.
    """
    found: dict[str, np.ndarray] = {} if decoded_BFHWC is None else {"vae": decoded_BFHWC}
    if samples.holes.any():
        found["diffusion"] = np.stack([diffusion_fill(*clip) for clip in zip(samples.original, unseen_BFHW)])
        if not unseen_BFHW[:, 0].any():
            found["stretched_frame"] = np.stack([stretched_frame(*clip) for clip in zip(samples.original, unseen_BFHW)])
    return {name: scores(samples._replace(result=clips)) for name, clips in found.items()}


def as_metrics(found: Mapping[str, Mapping[str, float]], prefix: str) -> dict[str, float]:
    """One flat table, ``val_hole_psnr_raw`` of the row ``raw``; the row of the empty name gets no end."""
    return {
        f"{prefix}{score}" + (f"_{row}" if row else ""): value
        for row, values in found.items()
        for score, value in values.items()
    }


def in_words(found: Mapping[str, Mapping[str, float]]) -> str:
    """The rows in one line, with the hole's numbers where there are holes, otherwise those of complete frames."""
    parts = []
    for row, values in found.items():
        where = "" if math.isnan(values["hole_psnr"]) else "hole_"
        name = f"{row.replace('_', ' ')} " if row else f"{'hole' if where else 'clip'} "
        parts.append(f"{name}{values[where + 'psnr']:.2f} dB, sharpness {values[where + 'sharpness']:.2f}")
    return "; ".join(parts)
