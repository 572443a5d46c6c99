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

from collections.abc import Callable
from typing import Any

from vp_jax.errors import UserError
from vp_jax.segment.tracking import Backend


def _grabcut(**options: Any) -> Backend:
    from vp_jax.segment.grabcut import GrabCut

    return GrabCut(**options)


TRACKERS: dict[str, Callable[..., Backend]] = {"grabcut": _grabcut}
"""What makes a backend, by its name."""


def make_backend(name: str, **options: Any) -> Backend:
    """A backend by its name.

    Raises:
      UserError: an unknown name, or what the backend cannot be made of.
    """
    if name not in TRACKERS:
        raise UserError(f"backend {name!r}: expected one of {', '.join(TRACKERS)}")
    return TRACKERS[name](**options)
