"""Frechet distance between two sets of features (Heusel et al. 2017, eq. 6), in float64 on the host.

    d = |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))

With A and B the centred features divided by ``sqrt(n - 1)``, one row per clip, ``S_a = A^T A`` and the eigenvalues of
``S_a S_b`` other than 0 are the squared singular values of ``A B^T``: the trace of the root is their sum. That is exact
for covariances without full rank, whose root by a general algorithm is not, and needs no 1024 x 1024 product.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg


def frechet_distance(a_NE: np.ndarray, b_NE: np.ndarray) -> float:
    """Distance of two sets of features; NaN with fewer than two rows in either, whose covariance does not exist."""
    a_NE, b_NE = np.asarray(a_NE, np.float64), np.asarray(b_NE, np.float64)
    if min(len(a_NE), len(b_NE)) < 2:
        return math.nan
    mean = np.square(a_NE.mean(0) - b_NE.mean(0)).sum()
    a = (a_NE - a_NE.mean(0)) / math.sqrt(len(a_NE) - 1)
    b = (b_NE - b_NE.mean(0)) / math.sqrt(len(b_NE) - 1)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(mean + np.square(a).sum() + np.square(b).sum() - 2 * root, 0.0))


def released_frechet_distance(a_NE: np.ndarray, b_NE: np.ndarray) -> float:
    """The same as the released program computes it: the root of the product of covariances by scipy.

    Covariances of few clips have no full rank, and their root is inaccurate. NaN with fewer than two rows.

    Raises:
      ValueError: the root has an imaginary part above 1e-3.
    """
    a_NE, b_NE = np.asarray(a_NE, np.float64), np.asarray(b_NE, np.float64)
    if min(len(a_NE), len(b_NE)) < 2:
        return math.nan
    a_EE, b_EE = np.cov(a_NE, rowvar=False), np.cov(b_NE, rowvar=False)
    root_EE = scipy.linalg.sqrtm(a_EE @ b_EE)
    if not np.isfinite(root_EE).all():
        shift_EE = 1e-6 * np.eye(len(a_EE))
        root_EE = scipy.linalg.sqrtm((a_EE + shift_EE) @ (b_EE + shift_EE))
    if np.iscomplexobj(root_EE):
        if not np.allclose(np.diagonal(root_EE).imag, 0, atol=1e-3):
            raise ValueError(f"the root of the covariances has an imaginary part of {np.abs(root_EE.imag).max():.3g}")
        root_EE = root_EE.real
    mean = a_NE.mean(0) - b_NE.mean(0)
    return float(mean @ mean + np.trace(a_EE) + np.trace(b_EE) - 2 * np.trace(root_EE))
