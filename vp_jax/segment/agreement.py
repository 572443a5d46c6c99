"""How well masks agree with the truth: region J and contour F of DAVIS (Perazzi et al. 2016)."""

from __future__ import annotations

import cv2
import numpy as np

from vp_jax.segment.refine import outline_of

BOUND = 0.008
"""Distance between outlines that counts as agreement, as a share of the picture's diagonal."""


def region_j(mask_HW: np.ndarray, truth_HW: np.ndarray) -> float:
    """Intersection over union of two masks, bool (H, W), 0 to 1; 1 where both are empty."""
    union = int((mask_HW | truth_HW).sum())
    return int((mask_HW & truth_HW).sum()) / union if union else 1.0


def contour_f(mask_HW: np.ndarray, truth_HW: np.ndarray) -> float:
    """Harmonic mean of precision and recall of the outline, 0 to 1; 1 where both are empty."""
    ours_HW, theirs_HW = outline_of(mask_HW), outline_of(truth_HW)
    if not ours_HW.any() or not theirs_HW.any():
        return float(ours_HW.any() == theirs_HW.any())
    reach = int(np.ceil(BOUND * np.hypot(*mask_HW.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near_ours, near_theirs = (cv2.dilate(line.astype(np.uint8), disc) > 0 for line in (ours_HW, theirs_HW))
    precision, recall = float(near_theirs[ours_HW].mean()), float(near_ours[theirs_HW].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
