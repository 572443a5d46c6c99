"""What of a request is checked before any file is looked at."""

from __future__ import annotations

from vp_jax.errors import UserError
from vp_jax.serve.schemas import JobRequest


def check_request(request: JobRequest) -> None:
    """Check what needs no file.

    Raises:
      UserError: a job without mask that extends nothing, or a filling without prompt.
    """
    if request.mask is None and request.extend is None:
        raise UserError("no mask: mark a thing first, or extend the picture")
    if request.task == "fill" and not (request.prompt or "").strip():
        raise UserError("no prompt: describe what the finished video shows, or choose to remove the thing")
