"""Numbers that no weight may be: NaN and infinity, counted without a copy of the array."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

_PIECE = 1 << 18


class NonFinite(NamedTuple):
    """How many values of an array are no number, and how many are infinite."""

    nan: int
    infinite: int

    def __str__(self) -> str:
        parts = [f"{self.nan} NaN"] * bool(self.nan) + [f"{self.infinite} infinite"] * bool(self.infinite)
        return " and ".join(parts)


def count_non_finite(x: np.ndarray) -> NonFinite:
    """Count them in an array of any type; whole numbers are always finite."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return NonFinite(0, 0)
    nan = infinite = 0
    flat = x.reshape(-1) if x.flags.c_contiguous else x.T.reshape(-1) if x.flags.f_contiguous else x.ravel()
    for begin in range(0, flat.size, _PIECE):
        piece = flat[begin : begin + _PIECE]
        if not np.isfinite(piece).all():
            nan += int(np.isnan(piece).sum())
            infinite += int(np.isinf(piece).sum())
    return NonFinite(nan, infinite)


def fault_of(key: str, stored: np.ndarray, written: np.ndarray) -> str:
    """What is wrong with a tensor as it is written; empty if every value is a finite number."""
    found = count_non_finite(written)
    if not any(found):
        return ""
    if not any(count_non_finite(stored)):
        return f"{key}: {found.infinite} of {stored.size} numbers overflow {written.dtype.name}"
    return f"{key}: {found} of {stored.size} numbers"
