"""Trackers, detectors and taggers of a worker: each is loaded once in a process, however many records it works on."""

from __future__ import annotations

import functools
from typing import Any

from vp_jax.curate.store import TryAgain
from vp_jax.errors import UserError


@functools.cache
def backend_of(name: str, weights: str = "", sam2: str = "") -> Any:
    """A tracker of `vp_jax.segment.backends`; it keeps no state between two videos.

    Args:
      name: of the backend.
      weights: folder or hub id of its model, "" for none.
      sam2: the same of SAM 2, for a backend that has boxes tracked by it.

    Raises:
      TryAgain: it cannot be loaded, see `vp_jax.segment.backends.make_backend`; a rerun tries again.
    """
    from vp_jax.segment.backends import make_backend

    given = {"weights": weights, "sam2": sam2}
    try:
        return make_backend(name, **{option: value for option, value in given.items() if value})
    except UserError as error:
        raise TryAgain(f"mask.backend: {error}") from error


@functools.cache
def detector_of(weights: str, threshold: float) -> Any:
    """Grounding DINO. Raises `TryAgain` for weights that are missing or cannot be read."""
    from vp_jax.segment.detection import Detector

    try:
        return Detector(weights or None, threshold)
    except UserError as error:
        raise TryAgain(f"box.model: {error}") from error


@functools.cache
def florence_of(weights: str) -> Any:
    """Florence-2. Raises `TryAgain` for weights that are missing or cannot be read."""
    from vp_jax.vlm.florence import Florence

    try:
        return Florence(weights)
    except UserError as error:
        raise TryAgain(f"tag.model: {error}") from error
