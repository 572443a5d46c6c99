"""Models of transformers from a folder or a hub id that the user names."""

from __future__ import annotations

import importlib
from typing import Any

from vp_jax.errors import UserError
from vp_jax.reading import show


def transformers_classes(backend: str, weights: str | None, *names: str) -> list[Any]:
    """Classes of transformers.

    Raises:
      UserError: no weights named; or transformers, torch or what they need is not installed, or too old.
    """
    if weights is None:
        raise UserError(f"backend {backend}: no weights given, expected a folder or a hub id")
    try:
        library = importlib.import_module("transformers")
        importlib.import_module("torch")
        return [getattr(library, name) for name in names]
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"backend {backend}: {str(error).splitlines()[0]}; it needs transformers and torch: "
            "pip install 'vp_jax[segment]'"
        ) from error


def pretrained(kind: Any, weights: str | None) -> Any:
    """A model or a processor from a folder or a hub id.

    Raises:
      UserError: nothing of the kind is to be read there.
    """
    try:
        return kind.from_pretrained(weights)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"weights {show(str(weights))}: cannot be read as {kind.__name__} ({reason})") from error


def torch_device() -> str:
    """The device of torch that models run on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
