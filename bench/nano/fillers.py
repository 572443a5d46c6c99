"""Simple fillings without a model, as a baseline. Each takes a case and returns uint8 frames FHWC."""

from __future__ import annotations

import numpy as np

from bench.nano.cases import Case
from vp_jax.errors import UserError


def mean_colour(case: Case) -> np.ndarray:
    """Fill the hole of every frame with the mean colour of the rest of the frame."""
    out_FHWC = case.source_FHWC.copy()
    for out_HWC, hole_HW in zip(out_FHWC, case.holes_FHW):
        if hole_HW.any() and not hole_HW.all():
            out_HWC[hole_HW] = np.rint(out_HWC[~hole_HW].mean(axis=0))
    return out_FHWC


def telea(case: Case) -> np.ndarray:
    """Fill every frame by OpenCV's fast marching (Telea 2004), radius 5.

    Raises:
      UserError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError("Telea needs OpenCV: pip install 'vp_jax[bench]'") from error
    return np.stack(
        [
            cv2.inpaint(np.ascontiguousarray(frame_HWC), hole_HW.astype(np.uint8), 5, cv2.INPAINT_TELEA)
            for frame_HWC, hole_HW in zip(case.source_FHWC, case.holes_FHW)
        ]
    )


FILLERS = {"mean": mean_colour, "telea": telea}
