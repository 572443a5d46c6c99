"""The project's one measure of parity."""

import numpy as np


def relative_error(got, want) -> float:
    """Relative L2 error in float64; shapes must be equal."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))
