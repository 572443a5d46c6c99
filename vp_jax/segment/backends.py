"""The backends by name, each imported when it is asked for.

=================  ================================================================================================
name               what it is
=================  ================================================================================================
``grabcut``        OpenCV's GrabCut, carried by optical flow; needs no weights (`vp_jax.segment.grabcut`)
``sam2_video``     SAM 2 through transformers: boxes, points, masks
``edgetam_video``  EdgeTAM through transformers, smaller: boxes, points, masks
``sam3_video``     SAM 3 through transformers: words
``grounding_dino``  boxes of words from Grounding DINO, tracked by SAM 2
=================  ================================================================================================
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.segment.results import Backend


def _grabcut() -> Backend:
    from vp_jax.segment.grabcut import GrabCut

    return GrabCut()


def _sam2(weights: str | None = None, device: str | None = None) -> Backend:
    from vp_jax.segment.sam import Sam2

    return Sam2(weights, device=device)


def _edgetam(weights: str | None = None, device: str | None = None) -> Backend:
    from vp_jax.segment.sam import Sam2

    return Sam2(weights, "EdgeTamVideoModel", "edgetam_video", device)


def _sam3(weights: str | None = None, device: str | None = None) -> Backend:
    from vp_jax.segment.sam import Sam3

    return Sam3(weights, device)


def _grounding_dino(weights: str | None = None, sam2: str | None = None, device: str | None = None) -> Backend:
    from vp_jax.segment.sam import Grounded

    return Grounded(weights, sam2, device=device)


TRACKERS: dict[str, Callable[..., Backend]] = {
    "grabcut": _grabcut,
    "sam2_video": _sam2,
    "edgetam_video": _edgetam,
    "sam3_video": _sam3,
    "grounding_dino": _grounding_dino,
}
"""What makes a backend, by its name."""


def named_backend(text: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a backend from a text: ``NAME``, ``NAME:WEIGHTS`` or ``grounding_dino:WEIGHTS,SAM2``.

    Raises:
      UserError: an unknown name, or weights that are missing or not taken; nothing is loaded.
    """
    name, _, weights = text.partition(":")
    if name not in TRACKERS:
        raise UserError(f"backend {show(name)!r}: expected one of {', '.join(TRACKERS)}")
    taken = [option for option in inspect.signature(TRACKERS[name]).parameters if option in ("weights", "sam2")]
    given = [part.strip() for part in weights.split(",")] if weights else []
    if len(given) != len(taken) or not all(given):
        form = f"{name}:{','.join('FOLDER_OR_ID' for _ in taken)}" if taken else name
        raise UserError(
            f"backend {show(text)!r}: expected {form}" + (" (of its weights, then of SAM 2)" * (len(taken) > 1))
        )
    return name, dict(zip(taken, given, strict=True))


def make_backend(name: str, **options: Any) -> Backend:
    """A backend by its name.

    Raises:
      UserError: an unknown name, an option that the backend does not have, or what it cannot be made of.
    """
    if name not in TRACKERS:
        raise UserError(f"backend {name!r}: expected one of {', '.join(TRACKERS)}")
    make = TRACKERS[name]
    for option in options:
        if option not in inspect.signature(make).parameters:
            raise UserError(f"{option}: backend {name} does not take it, leave it off")
    return make(**options)
