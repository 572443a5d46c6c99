"""Functions of other packages as parts of a stage, named in its settings as ``package.module:function``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from vp_jax.errors import UserError


def is_plugin(name: str) -> bool:
    """Whether a setting names a function; addresses are none."""
    module, colon, function = name.partition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))


def load_plugin(name: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names.

    Raises:
      UserError: there is none.
    """
    module, _, function = name.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name}: expected package.module:function that can be imported ({error})") from error
    return found
