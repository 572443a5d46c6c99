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

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.eval.blocks import by_blocks, difference
from vp_jax.eval.regions import WHOLE
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.similarity import ssim_sums

PREFIX = "reference_"


def truncated(frames_FHWC: np.ndarray) -> np.ndarray:
    """Pixels as uint8, cut off instead of rounded, as the released program stores results."""
    if frames_FHWC.dtype == np.uint8:
        return frames_FHWC
    cut: np.ndarray = (np.clip(frames_FHWC, 0, 1).astype(np.float32) * np.float32(255)).astype(np.uint8)
    return cut


def released_original(frames_FHWC: np.ndarray) -> np.ndarray:
    """Pixels of the original as the released program scores them: levels 1 to 63 lose one."""
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    there = np.float32(2) * levels - np.float32(1)
    back = np.clip(there / np.float32(2) + np.float32(0.5), 0, 1)
    table = (back * np.float32(255)).astype(np.uint8)
    stored = frames_FHWC
    if stored.dtype != np.uint8:
        stored = np.rint(np.clip(stored, 0, 1) * 255).astype(np.uint8)
    values: np.ndarray = table[stored]
    return values


def without_hole(result_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Result with a black hole; the original is not masked. The mask of the released "masked" columns."""
    kept: np.ndarray = result_FHWC * ~holes_FHW[..., None]
    return kept


@jax.jit
def _frame_columns(result_FHWC: jax.Array, truth_FHWC: jax.Array, ssim_F: jax.Array) -> jax.Array:
    error_FHWC = difference(result_FHWC, truth_FHWC)
    return jnp.stack([jnp.square(error_FHWC).mean((1, 2, 3)), jnp.abs(error_FHWC).mean((1, 2, 3)), ssim_F], -1)


def _columns(result_FHWC: jax.Array, truth_FHWC: jax.Array, with_ssim: bool) -> jax.Array:
    ssim_F = jnp.full(len(result_FHWC), jnp.nan)
    if with_ssim:
        sums = ssim_sums(result_FHWC, truth_FHWC, np.zeros(result_FHWC.shape[:3], bool), (WHOLE,))
        ssim_F = sums[:, 0, 0] / sums[:, 0, 1]
    columns: jax.Array = _frame_columns(result_FHWC, truth_FHWC, ssim_F)
    return columns


class ReferencePictureGauge:
    """PSNR, SSIM, MSE and MAE of every frame, averaged over frames: whole frames, and results with black holes."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._ssim = {mask: f"{PREFIX}{mask}ssim" in names for mask in ("", "masked_")}
        masks = [mask for mask in self._ssim if any(f"{PREFIX}{mask}{column}" in names for column in _PICTURE_COLUMNS)]
        self._errors: dict[str, list[np.ndarray]] = {mask: [] for mask in masks}

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        result_FHWC, truth_FHWC = truncated(result_FHWC), released_original(truth_FHWC)
        for mask, parts in self._errors.items():
            seen_FHWC = without_hole(result_FHWC, holes_FHW) if mask else result_FHWC
            program = functools.partial(_columns, with_ssim=self._ssim[mask])
            parts.append(by_blocks(program, seen_FHWC, truth_FHWC))

    def values(self) -> dict[str, Value]:
        """The columns, of the frames so far."""
        values: dict[str, Value] = {}
        for mask, parts in self._errors.items():
            mse_F, mae_F, ssim_F = np.concatenate(parts).astype(np.float64).T if parts else np.full((3, 1), np.nan)
            with np.errstate(divide="ignore"):
                values[f"{PREFIX}{mask}psnr"] = float((-10 * np.log10(mse_F)).mean())
            values[f"{PREFIX}{mask}ssim"] = float(ssim_F.mean())
            values[f"{PREFIX}{mask}mse"] = float(mse_F.mean())
            values[f"{PREFIX}{mask}mae"] = float(mae_F.mean())
        return values


_PICTURE_COLUMNS = ("psnr", "ssim", "mse", "mae")
