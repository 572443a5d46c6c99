"""One text names a model: the address of an endpoint, or ``local:`` and a folder or hub id."""

from __future__ import annotations

import os

from vp_jax.errors import UserError
from vp_jax.reading import show
from vp_jax.vlm.endpoint import Endpoint
from vp_jax.vlm.local import LocalVlm
from vp_jax.vlm.protocol import Limits, Vlm

KEY_NAMES = ("VP_JAX_VLM_KEY", "OPENAI_API_KEY")
"""Environment variables that hold the key of an endpoint, in this order."""


def connect(text: str, limits: Limits | None = None) -> Vlm:
    """The model that ``text`` names. Nothing is imported or contacted before the first question.

    Args:
      text: ``http://localhost:11434/v1``, with ``#MODEL`` behind it where the server has several models;
        or ``local:FOLDER_OR_ID``, a model of transformers.
      limits: of time, size and attempts.

    Raises:
      UserError: neither of the two.
    """
    limits = limits or Limits()
    if text.startswith("local:"):
        return LocalVlm(text.removeprefix("local:"), limits)
    if text.startswith(("http://", "https://")):
        own, usual = (os.environ.get(name, "").strip() for name in KEY_NAMES)
        return Endpoint(text, key=own, usual_key=usual, limits=limits)
    raise UserError(f"vlm {show(text)}: expected http://HOST:PORT/v1, https://HOST/v1 or local:FOLDER_OR_ID")
