"""Fillings without a model, the baselines of every benchmark. Each is a function of a clip in memory:

    fill(frames_FHWC uint8 RGB, holes_FHW bool) -> uint8 RGB of the same shape, equal to the frames outside the holes

=============== =====================================================================================================
mean            the mean colour of the frame's kept pixels
telea           OpenCV's fast marching (Telea 2004), radius 5, frame by frame
ns              OpenCV's Navier-Stokes (Bertalmio et al. 2001), radius 5, frame by frame
diffusion       colours of the kept pixels, diffused into the hole, see `vp_jax.inference.hole_fill`
stretched       each row's kept pixels left and right of the hole, stretched across it
stretched_frame frame 0's pixels in the box of the first hole, stretched to the box of each later one
flow            known pixels carried along the optical flow from both sides in time, see `vp_jax.vpbench.flow`
=============== =====================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from vp_jax.inference.hole_fill import stretched_frame
from vp_jax.vpbench.flow import propagated

RADIUS = 5
"""Pixels around a hole from which OpenCV's fillings take colours."""

Filling = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mean_colour(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Fill the hole of every frame with the mean colour of the rest of the frame."""
    out_FHWC = frames_FHWC.copy()
    for out_HWC, hole_HW in zip(out_FHWC, holes_FHW):
        if hole_HW.any() and not hole_HW.all():
            out_HWC[hole_HW] = np.rint(out_HWC[~hole_HW].mean(axis=0))
    return out_FHWC


def telea(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Fill every frame by OpenCV's fast marching (Telea 2004)."""
    return _opencv(frames_FHWC, holes_FHW, cv2.INPAINT_TELEA)


def navier_stokes(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Fill every frame by OpenCV's Navier-Stokes (Bertalmio et al. 2001)."""
    return _opencv(frames_FHWC, holes_FHW, cv2.INPAINT_NS)


def diffused(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Diffuse the colours of the kept pixels into the hole, frame by frame."""
    from vp_jax.inference.hole_fill import diffusion_fill  # JAX takes seconds

    return diffusion_fill(frames_FHWC, holes_FHW)


def stretched(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Stretch the kept pixels of each row across the hole; a row without any takes the nearest row that has some."""
    out_FHWC = frames_FHWC.copy()
    for out_HWC, hole_HW in zip(out_FHWC, holes_FHW):
        rows = np.flatnonzero(~hole_HW.all(axis=1))
        if not len(rows):
            continue
        for y in np.flatnonzero(hole_HW.any(axis=1)):
            near = rows[np.abs(rows - y).argmin()]
            holes_W = np.flatnonzero(hole_HW[y])
            kept_W = np.flatnonzero(~hole_HW[near])
            for channel in range(3):
                line_W = np.interp(holes_W, kept_W, out_HWC[near, kept_W, channel])
                out_HWC[y, holes_W, channel] = np.rint(line_W)
    return out_FHWC


def flow_propagation(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Carry known pixels along the flow into the hole; what nobody saw is filled by Telea, frame by frame."""
    carried_FHWC, left_FHW = propagated(frames_FHWC, holes_FHW)
    return _opencv(carried_FHWC, left_FHW, cv2.INPAINT_TELEA)


def first_given(frames_FHWC: np.ndarray, holes_FHW: np.ndarray, first_HWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies of frames and holes in which frame 0 is given: ``first_HWC``, without a hole."""
    frames_FHWC, holes_FHW = frames_FHWC.copy(), holes_FHW.copy()
    frames_FHWC[0], holes_FHW[0] = first_HWC, False
    return frames_FHWC, holes_FHW


def from_first_frame(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Stretch frame 0's pixels in the box of the first hole to the box of each later one.

    A hole in frame 0 is filled by `diffused` before; what it hid is then nowhere.
    """
    first_HWC = diffused(frames_FHWC[:1], holes_FHW[:1])[0]
    return stretched_frame(*first_given(frames_FHWC, holes_FHW, first_HWC))


BASELINES: dict[str, Filling] = {
    "mean": mean_colour,
    "telea": telea,
    "ns": navier_stokes,
    "diffusion": diffused,
    "stretched": stretched,
    "stretched_frame": from_first_frame,
    "flow": flow_propagation,
}


def _opencv(frames_FHWC: np.ndarray, holes_FHW: np.ndarray, method: int) -> np.ndarray:
    """Fill frame by frame. Navier-Stokes reads what is in the hole at its rim, so that is replaced before."""
    return np.stack(
        [
            cv2.inpaint(np.ascontiguousarray(frame_HWC), hole_HW.astype(np.uint8), RADIUS, method)
            for frame_HWC, hole_HW in zip(mean_colour(frames_FHWC, holes_FHW), holes_FHW)
        ]
    )
