"""The project's one measure of parity, and the folder it measures against."""

import os
from pathlib import Path

import numpy as np

DEFAULT = Path(__file__).parent / "golden"
GOLDEN = Path(os.environ.get("VP_GOLDEN_DIR", DEFAULT))
"""Outputs of the PyTorch reference: ``VP_GOLDEN_DIR``, default ``tests/golden``."""


def relative_error(got, want) -> float:
    """Relative L2 error in float64, absolute where only zeros are wanted; shapes must be equal."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    return float(np.linalg.norm(got - want) / (np.linalg.norm(want) or 1.0))
