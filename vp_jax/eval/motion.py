"""How a clip runs: flicker, warping error, seams between windows, drift of colour and identity.

    flicker         mean |(r_f - r_f-1) - (t_f - t_f-1)|, in grey levels, over pixels of the region in both frames
    warping error   mean (r_f - warp(r_f-1))^2 x 1000 over pixels of the region that come from the region in f-1: by
                    the flow of the truth from f to f-1, without occluded pixels (Lai et al. 2018, eq. 9)
    seam jump, colour drift      of the hole, see `vp_jax.eval.continuity`; they need the starts of windows
    identity drift               of the inner hole, see `vp_jax.eval.video_metrics.identity_drift`

r is the result, t the truth.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.eval.blocks import as_float, difference
from vp_jax.eval.continuity import ContinuityMeter
from vp_jax.eval.regions import REGIONS, region, score_name
from vp_jax.eval.score import ClipFacts, Networks, Value
from vp_jax.eval.video_metrics import RIM
from vp_jax.media.masks import dilate
from vp_jax.segment.flow import dis_flow

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Two pictures, uint8 (H, W, 3) -> (H, W, 2): where each pixel of the first is in the second, columns then rows."""

WARPING_SCALE = 1000.0
_OCCLUSION, _OCCLUSION_FLOOR = 0.01, 0.5
_INSIDE = 1 - 1e-5
"""Share of a pixel that has to come from a region."""


def as_bytes(frames_FHWC: np.ndarray) -> np.ndarray:
    """Pixels as uint8, rounded."""
    if frames_FHWC.dtype == np.uint8:
        return frames_FHWC
    levels: np.ndarray = np.rint(np.clip(frames_FHWC, 0, 1) * 255).astype(np.uint8)
    return levels


class Pairs:
    """Pairs of consecutive frames of a stream, across updates."""

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, ...] | None = None

    def take(self, *arrays: np.ndarray) -> list[tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]:
        """The next frames of each array -> (frame before, frame) of all arrays, for each frame but the first."""
        pairs = []
        for current in zip(*arrays):
            if self._before is not None:
                pairs.append((self._before, current))
            self._before = current
        return pairs


@functools.partial(jax.jit, static_argnums=6)
def flicker_sums(
    r0_HWC: jax.Array,
    t0_HWC: jax.Array,
    hole0_HW: jax.Array,
    r1_HWC: jax.Array,
    t1_HWC: jax.Array,
    hole1_HW: jax.Array,
    regions: tuple[str, ...],
) -> jax.Array:
    """Per region: sum of changes of the error from one frame to the next, in grey levels, and their number."""
    change_HWC = difference(r1_HWC, t1_HWC) - difference(r0_HWC, t0_HWC)
    change_HW = jnp.abs(change_HWC).sum(-1) * 255
    holes_FHW = jnp.stack([hole0_HW, hole1_HW])
    rows = []
    for name in regions:
        both_HW = region(holes_FHW, name).all(0)
        rows.append(jnp.array([jnp.where(both_HW, change_HW, 0).sum(), both_HW.sum() * change_HWC.shape[-1]]))
    return jnp.stack(rows)


class FlickerGauge:
    """Changes of the error over time, on the regions that the wanted scores are about."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._regions = tuple(name for name in REGIONS if score_name("flicker", name) in names)
        self._sums, self._pairs = np.zeros((len(self._regions), 2)), Pairs()

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        for before, current in self._pairs.take(result_FHWC, truth_FHWC, holes_FHW):
            self._sums += np.asarray(flicker_sums(*before, *current, self._regions), np.float64)

    def values(self) -> dict[str, Value]:
        """Flicker of each region in grey levels; NaN without two frames."""
        return {
            score_name("flicker", name): float(total / count) if count else math.nan
            for name, (total, count) in zip(self._regions, self._sums)
        }


def picture_flow(first_HWC: np.ndarray, second_HWC: np.ndarray) -> np.ndarray:
    """Dense optical flow by inverse search (DIS; Kroeger et al. 2016), OpenCV's medium preset. Needs no weights."""
    first_HW, second_HW = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first_HWC, second_HWC))
    return dis_flow(first_HW, second_HW, finest=False)


def warped(x_HWC: jax.Array, flow_HW2: jax.Array) -> jax.Array:
    """Picture read where a flow points, bilinear; pixels outside are those of the border."""
    H, W, _ = x_HWC.shape
    columns_HW = jnp.clip(jnp.arange(W, dtype=jnp.float32)[None, :] + flow_HW2[..., 0], 0, W - 1)
    rows_HW = jnp.clip(jnp.arange(H, dtype=jnp.float32)[:, None] + flow_HW2[..., 1], 0, H - 1)
    top, left = jnp.floor(rows_HW).astype(int), jnp.floor(columns_HW).astype(int)
    bottom, right = jnp.minimum(top + 1, H - 1), jnp.minimum(left + 1, W - 1)
    down, across = (rows_HW - top)[..., None], (columns_HW - left)[..., None]
    upper = x_HWC[top, left] * (1 - across) + x_HWC[top, right] * across
    lower = x_HWC[bottom, left] * (1 - across) + x_HWC[bottom, right] * across
    return upper * (1 - down) + lower * down


def reached(back_HW2: jax.Array, forth_HW2: jax.Array) -> jax.Array:
    """Pixels whose flow comes back to where it began and stays in the picture, bool (H, W).

    Occluded pixels fail: ``|b + f|^2 > 0.01 (|b|^2 + |f|^2) + 0.5`` (Sundaram et al. 2010).
    """
    H, W, _ = back_HW2.shape
    there_HW2 = warped(forth_HW2, back_HW2)
    error_HW = jnp.square(back_HW2 + there_HW2).sum(-1)
    size_HW = jnp.square(back_HW2).sum(-1) + jnp.square(there_HW2).sum(-1)
    column_HW = jnp.arange(W)[None, :] + back_HW2[..., 0]
    row_HW = jnp.arange(H)[:, None] + back_HW2[..., 1]
    inside_HW = (column_HW >= 0) & (column_HW <= W - 1) & (row_HW >= 0) & (row_HW <= H - 1)
    return inside_HW & (error_HW <= _OCCLUSION * size_HW + _OCCLUSION_FLOOR)


@functools.partial(jax.jit, static_argnums=6)
def warping_sums(
    r0_HWC: jax.Array,
    hole0_HW: jax.Array,
    r1_HWC: jax.Array,
    hole1_HW: jax.Array,
    back_HW2: jax.Array,
    forth_HW2: jax.Array,
    regions: tuple[str, ...],
) -> jax.Array:
    """Per region: sum of squared differences between a frame and the warped frame before, and their number."""
    error_HW = jnp.square(as_float(r1_HWC) - warped(as_float(r0_HWC), back_HW2)).sum(-1)
    valid_HW = reached(back_HW2, forth_HW2)
    rows = []
    for name in regions:
        area0_HW, area1_HW = region(jnp.stack([hole0_HW, hole1_HW]), name)
        came_HW = warped(area0_HW[..., None].astype(jnp.float32), back_HW2)[..., 0] > _INSIDE
        area_HW = area1_HW & came_HW & valid_HW
        rows.append(jnp.array([jnp.where(area_HW, error_HW, 0).sum(), area_HW.sum() * r0_HWC.shape[-1]]))
    return jnp.stack(rows)


class WarpingGauge:
    """Warping error with one kind of flow.

    Args:
      names: of the wanted scores.
      prefix: name of the score on whole frames.
      flow: computes the flow.
    """

    def __init__(self, names: Collection[str], prefix: str, flow: Flow) -> None:
        self._regions = tuple(name for name in REGIONS if score_name(prefix, name) in names)
        self._prefix, self._flow = prefix, flow
        self._sums, self._pairs = np.zeros((len(self._regions), 2)), Pairs()

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        for before, current in self._pairs.take(result_FHWC, as_bytes(truth_FHWC), holes_FHW):
            back, forth = self._flow(current[1], before[1]), self._flow(before[1], current[1])
            sums = warping_sums(before[0], before[2], current[0], current[2], back, forth, self._regions)
            self._sums += np.asarray(sums, np.float64)

    def values(self) -> dict[str, Value]:
        """Warping error of each region, times 1000; NaN where no flow reaches."""
        return {
            score_name(self._prefix, name): float(WARPING_SCALE * total / count) if count else math.nan
            for name, (total, count) in zip(self._regions, self._sums)
        }


def dis_gauge(names: Collection[str], clip: ClipFacts, networks: Networks) -> WarpingGauge:
    """Warping error with OpenCV's DIS flow."""
    return WarpingGauge(names, "warping_error_dis", picture_flow)


class WindowsGauge:
    """Seam jump, colour drift and identity drift of the hole, from window to window."""

    def __init__(self, names: Collection[str], clip: ClipFacts, networks: Networks) -> None:
        self._meter, self._starts = ContinuityMeter(clip.starts, clip.overlap), clip.starts
        self._sums_KC, self._counts_K = np.zeros((len(clip.starts), 3)), np.zeros(len(clip.starts))
        self._frame = 0

    def update(self, result_FHWC: np.ndarray, truth_FHWC: np.ndarray, holes_FHW: np.ndarray) -> None:
        """Take the next frames."""
        results, truths = as_bytes(result_FHWC), as_bytes(truth_FHWC)
        inner_FHW = ~dilate(~holes_FHW, RIM)
        for result_HWC, truth_HWC, hole_HW, inner_HW in zip(results, truths, holes_FHW, inner_FHW):
            self._meter.add(result_HWC, hole_HW, truth_HWC)
            window = np.searchsorted(self._starts, self._frame, side="right") - 1
            self._sums_KC[window] += (result_HWC[inner_HW].astype(np.float64) - truth_HWC[inner_HW]).sum(0)
            self._counts_K[window] += inner_HW.sum()
            self._frame += 1

    def values(self) -> dict[str, Value]:
        """The three numbers; NaN for a clip of one window."""
        found, there = self._meter.result, self._counts_K > 0
        offsets_KC = self._sums_KC[there] / self._counts_K[there, None]
        drift = np.linalg.norm(offsets_KC[1:] - offsets_KC[:1], axis=1)
        return {
            "seam_jump": found.seam_jump,
            "colour_drift": found.colour_drift,
            "identity_drift": float(drift.mean()) if len(drift) else math.nan,
        }
