"""The quad mask of VOID (arXiv 2604.02296): what is removed, and what will move because of it.

===== ============================================================
value region
===== ============================================================
0     the thing that is removed
63    removed and affected: where both overlap
127   affected: things that fall or move once it is gone
255   background, which stays
===== ============================================================

Lossy video blurs the values, so each pixel is read as the nearest of them.
"""

from __future__ import annotations

import numpy as np

from vp_jax.errors import UserError

REMOVED_VALUE, BOTH_VALUE, AFFECTED_VALUE, BACKGROUND_VALUE = 0, 63, 127, 255
VALUES = np.array([REMOVED_VALUE, BOTH_VALUE, AFFECTED_VALUE, BACKGROUND_VALUE], np.uint8)


def quadmask(removed_FHW: np.ndarray, affected_FHW: np.ndarray) -> np.ndarray:
    """Values of a quad mask, uint8 (F, H, W).

    Args:
      removed_FHW: bool, the thing that is removed.
      affected_FHW: bool, what moves because of it.

    Raises:
      UserError: two masks of different shapes.
    """
    if removed_FHW.shape != affected_FHW.shape:
        raise UserError(f"affected {affected_FHW.shape}: expected the shape of the mask, {removed_FHW.shape}")
    removed_FHW, affected_FHW = removed_FHW.astype(bool), affected_FHW.astype(bool)
    chosen = [removed_FHW & affected_FHW, removed_FHW, affected_FHW]
    return np.select(chosen, VALUES[[1, 0, 2]], VALUES[3])


def nearest_values(grey_FHW: np.ndarray) -> np.ndarray:
    """The quad mask in grey pixels uint8 (F, H, W) of a video, each as the nearest of the four values."""
    table = VALUES[np.abs(np.arange(256)[:, None] - VALUES.astype(int)).argmin(axis=1)]
    nearest_FHW: np.ndarray = table[grey_FHW]
    return nearest_FHW


def encoded_pixels(quad_FHW: np.ndarray) -> np.ndarray:
    """What the VAE encodes of a quad mask in each of three equal channels, float32 (F, H, W), 0 to 1.

    0 is removed, 128 / 255 affected, 1 background. VOID's training and the first pass of its program know these three:
    what is both counts as removed. They encode this range, and not -1 to 1 as of a video.
    """
    levels = np.zeros(256, np.float32)
    levels[[AFFECTED_VALUE, BACKGROUND_VALUE]] = (255 - AFFECTED_VALUE) / 255, 1
    encoded_FHW: np.ndarray = levels[quad_FHW]
    return encoded_FHW
