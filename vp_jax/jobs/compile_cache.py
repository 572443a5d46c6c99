"""Compiled programs kept on disk: the second run of the same models and sizes compiles nothing again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import jax

from vp_jax.errors import UserError
from vp_jax.files import check_local


def default_folder() -> Path:
    """The user's cache directory (XDG Base Directory Specification), ``vp_jax/xla`` in it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path("~/.cache").expanduser()) / "vp_jax" / "xla"


def keep(choice: str | None) -> Path | None:
    """Let JAX keep what it compiles from now on.

    Args:
      choice: a folder, ``off``, or ``None`` for `default_folder`, unless JAX has been given one already.

    Returns:
      The folder in use, ``None`` when off.

    Raises:
      UserError: a folder that was asked for cannot be made.
    """
    if choice == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return None
    present = jax.config.values["jax_compilation_cache_dir"]
    if choice is None and present:
        return Path(present)
    if choice:
        check_local(Path(choice))
    try:
        folder = Path(choice) if choice else default_folder()
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, RuntimeError) as error:
        if choice is None:  # no home, or one that cannot be written to, is no reason to fail
            return None
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UserError(f"compilation_cache {choice}: cannot be made ({reason}), try another or off") from error
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    return folder
