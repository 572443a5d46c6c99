"""Columns of the released evaluation, repeated with their faults; every name begins with ``reference_``.

They exist to compare with published tables, and each has a footnote that says what is wrong with it. What they share:

* pixels are truncated to uint8 after a round trip through [-1, 1], which takes one level from the original's values 1
  to 63 (`released_original`);
* scores of "masked" columns multiply the result alone by the mask: the original is compared unmasked with a result
  whose hole is black. Where the background was pasted back, they do not depend on the result at all;
* PSNR of equal frames is infinite, and so is every average with such a frame;
* averages pool the frames of all clips, so that long clips weigh more (`vp_jax.eval.score.mean_of_frames`).
"""

from __future__ import annotations

from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.eval.blocks import as_float, by_blocks
from vp_jax.eval.score import Clip, Networks, Value

PREFIX = "reference_"


def truncated(frames_FHWC: np.ndarray) -> np.ndarray:
    """Pixels as uint8, cut off instead of rounded, as the released program stores results."""
    if frames_FHWC.dtype == np.uint8:
        return frames_FHWC
    return (np.clip(frames_FHWC, 0, 1).astype(np.float32) * np.float32(255)).astype(np.uint8)


def released_original(frames_FHWC: np.ndarray) -> np.ndarray:
    """Pixels of the original as the released program scores them: levels 1 to 63 lose one."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    there = np.float32(2) * levels - np.float32(1)
    back = np.clip(there / np.float32(2) + np.float32(0.5), 0, 1)
    table = (back * np.float32(255)).astype(np.uint8)
    stored = frames_FHWC
    if stored.dtype != np.uint8:
        stored = np.rint(np.clip(stored, 0, 1) * 255).astype(np.uint8)
    return table[stored]


def without_hole(result_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Result with a black hole; the original is not masked. The mask of the released "masked" columns."""
    return result_FHWC * ~holes_FHW[..., None]


@jax.jit
def _frame_errors(result_FHWC: jax.Array, truth_FHWC: jax.Array) -> jax.Array:
    error_FHWC = as_float(result_FHWC) - as_float(truth_FHWC)
    return jnp.stack([jnp.square(error_FHWC).mean((1, 2, 3)), jnp.abs(error_FHWC).mean((1, 2, 3))], -1)


class ReferencePixelGauge:
    """PSNR, MSE and MAE of every frame, averaged over frames: whole frames, and against results with black holes."""

    def __init__(self, names: Collection[str], clip: Clip, networks: Networks) -> None:
        self._masked = [mask for mask in ("", "masked_") if any(f"{PREFIX}{mask}{s}" in names for s in _COLUMNS)]
        self._errors: dict[str, list[np.ndarray]] = {mask: [] for mask in self._masked}

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        result_FHWC, truth_FHWC = truncated(result_FHWC), released_original(truth_FHWC)
        for mask in self._masked:
            seen_FHWC = without_hole(result_FHWC, holes_FHW) if mask else result_FHWC
            self._errors[mask].append(by_blocks(_frame_errors, seen_FHWC, truth_FHWC))

    def values(self) -> dict[str, Value]:
        """The columns, of the frames so far."""
        values: dict[str, Value] = {}
        for mask, parts in self._errors.items():
            errors = np.concatenate(parts).astype(np.float64) if parts else np.full((1, 2), np.nan)
            with np.errstate(divide="ignore"):
                values[f"{PREFIX}{mask}psnr"] = float((-10 * np.log10(errors[:, 0])).mean())
            values[f"{PREFIX}{mask}mse"] = float(errors[:, 0].mean())
            values[f"{PREFIX}{mask}mae"] = float(errors[:, 1].mean())
        return values


_COLUMNS = ("psnr", "mse", "mae")
