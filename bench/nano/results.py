"""Metrics of a clip, and the file that stores them: one JSON line per finished (variant, split, clip)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.nano.cases import Case
from vp_jax.eval import video_metrics as metrics
from vp_jax.eval.bootstrap import Interval, interval
from vp_jax.media.canvas import composite
from vp_jax.models.latent_grid import cover_cells
from vp_jax.shapes import SPATIAL_STRIDE
from vp_jax.world.classify import classify

METRICS = {
    "hole_psnr": "PSNR in the hole (dB)",
    "inner_psnr": "in tokens completely inside",
    "edge_psnr": "in tokens partly inside",
    "hole_ssim": "SSIM in the hole",
    "background_psnr": "PSNR outside, nothing pasted (dB)",
    "temporal_error": "error of changes (grey levels)",
    "identity_drift": "identity drift (grey levels)",
    "edit_shown": "shows the named edit",
}
LOWER_IS_BETTER = ("temporal_error", "identity_drift")


def measure(case: Case, result_FHWC: np.ndarray, starts: Sequence[int]) -> dict[str, float]:
    """Metrics of `vp_jax.eval.video_metrics` for a result, by name.

    Frame 0 is left out, because most variants are given it. The metric of the background uses the result as it is, all
    others the result pasted into the source, as sampling writes it.

    Args:
      case: the clip.
      result_FHWC: uint8 pixels of the result.
      starts: first frame of each window; drift needs at least two.
    """
    holes_FHW = case.holes_FHW.copy()
    holes_FHW[0] = False
    pasted_FHWC = composite(case.source_FHWC, result_FHWC, case.holes_FHW)
    outside_FHW = ~case.holes_FHW
    outside_FHW[0] = False
    truth, inner_FHW = case.truth_FHWC, inner_tokens(case.holes_FHW)
    return {
        "hole_psnr": metrics.psnr(truth, pasted_FHWC, holes_FHW),
        "inner_psnr": metrics.psnr(truth, pasted_FHWC, holes_FHW & inner_FHW),
        "edge_psnr": metrics.psnr(truth, pasted_FHWC, holes_FHW & ~inner_FHW),
        "hole_ssim": metrics.ssim(truth, pasted_FHWC, holes_FHW),
        "background_psnr": metrics.psnr(truth, result_FHWC, outside_FHW),
        "temporal_error": metrics.temporal_error(truth, pasted_FHWC, holes_FHW),
        "identity_drift": metrics.identity_drift(truth, pasted_FHWC, holes_FHW, starts),
        "edit_shown": edit_shown(case, pasted_FHWC),
    }


def edit_shown(case: Case, pasted_FHWC: np.ndarray) -> float:
    """1 if the hole of frames 1 to the last shows what the edit asks for, by `vp_jax.world.classify`, else 0.

    A thing has to have its colour and its shape; a removed one is gone if nothing of its colour is seen. NaN: no edit.
    """
    if case.asked is None:
        return math.nan
    seen, thing = classify(pasted_FHWC[1:], case.holes_FHW[1:]), case.asked.thing
    return float(seen == thing if case.asked.there else seen is None or seen.colour != thing.colour)


def inner_tokens(holes_FHW: np.ndarray) -> np.ndarray:
    """Pixels of tokens without background, bool FHW, which receive no selected hints.

    A token has 2 x 2 latent cells, 16 x 16 pixels; H and W are multiples of 16.
    """
    F, H, W = holes_FHW.shape
    side = 2 * SPATIAL_STRIDE
    tokens_Fhw = cover_cells(holes_FHW).reshape(F, H // side, side, W // side, side).all(axis=(2, 4))
    return tokens_Fhw.repeat(side, axis=1).repeat(side, axis=2)


class Key(NamedTuple):
    """Identity of a result; ``fingerprint`` depends on weights, settings and the content of the clip."""

    variant: str
    split: str
    clip: str
    fingerprint: str


@dataclass(frozen=True)
class Store:
    """The file of results."""

    path: Path

    def read(self) -> dict[Key, dict[str, float]]:
        """Metrics by key, without a last line that an interruption cut off."""
        found = {}
        for line in self.path.read_text().splitlines() if self.path.is_file() else []:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            values = {name: math.nan if value is None else value for name, value in row["metrics"].items()}
            found[Key(*(row[name] for name in Key._fields))] = values
        return found

    def add(self, key: Key, values: dict[str, float]) -> None:
        """Append one result."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: None if math.isnan(value) else round(value, 5) for name, value in values.items()}
        row: dict[str, Any] = {**key._asdict(), "metrics": kept}
        cut_short = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write("\n" * cut_short + json.dumps(row) + "\n")


def paired(values: Mapping[str, Mapping[str, float]], name: str, base: str) -> Interval:
    """Mean of ``name`` minus ``base``, clip by clip; ``values`` is one metric by variant and clip."""
    pairs = [values[name][clip] - values[base][clip] for clip in values[base]]
    return interval([pair for pair in pairs if not math.isnan(pair)])


def summary(rows: Sequence[dict[str, float]]) -> dict[str, Interval]:
    """Mean of every metric over clips, with its bootstrap interval."""
    return {name: interval([row[name] for row in rows]) for name in METRICS}
