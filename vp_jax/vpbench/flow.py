"""Flow propagation: known pixels carried along completed optical flow, forwards and backwards in time.

The classical part of ProPainter (arXiv 2309.03897, section 3.2) without its networks: OpenCV's DIS flow between
neighbouring frames, completed in the hole by diffusion; each pixel of the hole takes the colour of the pixel that it
came from, and of the one that it goes to, if that is known and both flows agree. The nearer in time counts more.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.segment.flow import dis_flow

CONSISTENT = 1.5
"""Pixels by which flow there and back may miss its start."""
_KNOWN = 0.99


class FlowStep(NamedTuple):
    """Flow from each pixel of a frame to its neighbour in time, x and y in pixels, and where it can be trusted."""

    flow_HWC: np.ndarray
    good_HW: np.ndarray


class CarriedColours(NamedTuple):
    """Colours carried in one direction.

    Attributes:
      colours_FHWC: float32.
      age_FHW: frames since the colour was seen; 0 outside holes, infinite where nothing arrived.
    """

    colours_FHWC: np.ndarray
    age_FHW: np.ndarray


def propagated(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill holes with what other frames show.

    Args:
      frames_FHWC: uint8 RGB.
      holes_FHW: bool; what the frames show there is not used.

    Returns:
      Frames uint8, and bool FHW: what of the holes no frame has shown.
    """
    back, ahead = _steps(frames_FHWC, holes_FHW)
    past = _carried(frames_FHWC, holes_FHW, back)
    future = _carried(frames_FHWC[::-1], holes_FHW[::-1], ahead[::-1])
    future = CarriedColours(future.colours_FHWC[::-1], future.age_FHW[::-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = [np.where(np.isfinite(c.age_FHW), 1 / np.maximum(c.age_FHW, 1), 0)[..., None] for c in (past, future)]
        total = weights[0] + weights[1]
        mixed_FHWC = (past.colours_FHWC * weights[0] + future.colours_FHWC * weights[1]) / total
    filled_FHW = holes_FHW & (total[..., 0] > 0)
    out_FHWC = frames_FHWC.copy()
    out_FHWC[filled_FHW] = np.rint(mixed_FHWC[filled_FHW]).clip(0, 255)
    return out_FHWC, holes_FHW & ~filled_FHW


def _steps(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> tuple[list[FlowStep], list[FlowStep]]:
    """For each pair of neighbours, flow of the later frame to the earlier one, and of the earlier to the later."""
    greys = [cv2.cvtColor(_guessed(*pair), cv2.COLOR_RGB2GRAY) for pair in zip(frames_FHWC, holes_FHW)]
    back, ahead = [], []
    for early, late in zip(range(len(greys) - 1), range(1, len(greys))):
        there_HWC = _completed(dis_flow(greys[early], greys[late], finest=False), holes_FHW[early])
        home_HWC = _completed(dis_flow(greys[late], greys[early], finest=False), holes_FHW[late])
        ahead.append(FlowStep(there_HWC, _consistent(there_HWC, home_HWC)))
        back.append(FlowStep(home_HWC, _consistent(home_HWC, there_HWC)))
    return back, ahead


def _guessed(frame_HWC: np.ndarray, hole_HW: np.ndarray) -> np.ndarray:
    """The frame with a guess in its hole, so that flow near the hole does not follow what is hidden there."""
    return cv2.inpaint(np.ascontiguousarray(frame_HWC), hole_HW.astype(np.uint8), 5, cv2.INPAINT_TELEA)


def _completed(flow_HWC: np.ndarray, hole_HW: np.ndarray) -> np.ndarray:
    """Flow whose vectors in the hole, and at its rim where the hole's content misled it, come from around it."""
    import jax.numpy as jnp  # takes seconds

    from vp_jax.inference.hole_fill import fill_holes

    if not hole_HW.any():
        return flow_HWC
    rim_HW = cv2.dilate(hole_HW.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    filled_BFHWC = fill_holes(jnp.asarray(flow_HWC)[None, None], jnp.asarray(rim_HW)[None, None], "smooth")
    completed_HWC: np.ndarray = np.asarray(filled_BFHWC, np.float32)[0, 0]
    return completed_HWC


def _consistent(there_HWC: np.ndarray, home_HWC: np.ndarray) -> np.ndarray:
    """Where the way there and the way home end near the start, bool."""
    missed_HWC = there_HWC + _sampled(home_HWC, there_HWC)
    near_HW: np.ndarray = np.linalg.norm(missed_HWC, axis=-1) < CONSISTENT
    return near_HW


def _carried(frames_FHWC: np.ndarray, holes_FHW: np.ndarray, steps: list[FlowStep]) -> CarriedColours:
    """Colours from earlier frames; ``steps[f]`` leads from frame f + 1 to frame f."""
    colours_FHWC = np.where(holes_FHW[..., None], 0, frames_FHWC).astype(np.float32)
    age_FHW = np.where(holes_FHW, np.inf, 0).astype(np.float32)
    for frame, step in enumerate(steps, 1):
        known_HW = np.isfinite(age_FHW[frame - 1]).astype(np.float32)
        age_HW = np.where(known_HW > 0, age_FHW[frame - 1], 0)
        known = _sampled(known_HW, step.flow_HWC) > _KNOWN
        arrived_HW = holes_FHW[frame] & known & step.good_HW
        colours_FHWC[frame][arrived_HW] = _sampled(colours_FHWC[frame - 1], step.flow_HWC)[arrived_HW]
        age_FHW[frame][arrived_HW] = _sampled(age_HW, step.flow_HWC)[arrived_HW] + 1
    return CarriedColours(colours_FHWC, age_FHW)


def _sampled(values: np.ndarray, flow_HWC: np.ndarray) -> np.ndarray:
    """``values`` where the flow leads, bilinear; 0 outside of the picture."""
    height, width = flow_HWC.shape[:2]
    x_HW, y_HW = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(
        np.ascontiguousarray(values), x_HW + flow_HWC[..., 0], y_HW + flow_HWC[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )  # fmt: skip
