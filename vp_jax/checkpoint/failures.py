"""What goes wrong in Orbax and TensorStore, which report one damaged file in dozens of ways: one line each."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax

from vp_jax.errors import UserError

MAKE_ROOM = "make room or mend the folder, and run the same command again"


@contextlib.contextmanager
def in_one_line(what: str, then: str, kind: type[UserError] = UserError) -> Iterator[None]:
    """Context in which missing, damaged and unwritable files raise ``kind``, whatever Orbax raises for them.

    Args:
      what: what failed; the reason follows.
      then: what to do.
      kind: the exception.
    """
    quiet_threads()
    try:
        yield
    except (UserError, jax.errors.JaxRuntimeError, MemoryError):  # no fault of the files: too little memory, above all
        raise
    except Exception as error:  # Orbax raises bare ones
        words = " ".join(str(error).split())
        reason = "no space left on device" if "No space left" in words else words.partition(" [tensorstore_spec")[0]
        raise kind(f"{what} ({reason[:200] or type(error).__name__}): {then}") from error


@functools.cache
def nameless_owners() -> None:
    """Let Orbax list files whose owner has no name (``docker run --user 12345``), where epath raises `KeyError`.

    The method is a private one of epath; where a version does not have it, nothing is changed.
    """
    from etils.epath import backend, stat_utils

    usual = getattr(getattr(backend, "_OsPathBackend", None), "stat", None)
    if usual is None:
        return

    def tolerant(self: Any, path: Any) -> Any:
        try:
            return usual(self, path)
        except KeyError:
            found = os.stat(path)
            return stat_utils.StatResult(
                is_directory=stat.S_ISDIR(found.st_mode),
                length=found.st_size,
                mtime=int(found.st_mtime),
                owner=None,
                group=None,
                mode=found.st_mode,
            )

    backend._OsPathBackend.stat = tolerant


@functools.cache
def quiet_threads() -> None:
    """Silence the threads of Orbax and TensorStore: what goes wrong in them is raised in ours too."""
    nameless_owners()
    logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
    logging.getLogger("asyncio").addFilter(lambda record: "never retrieved" not in record.getMessage())

    def without_orbax(hook: Callable[..., Any]) -> Callable[..., Any]:
        def report(*args: Any) -> None:
            error = args[1] if len(args) == 3 else args[0].exc_value
            code = getattr(getattr(args[0], "object", None), "cr_code", None)  # a coroutine that nobody waits for
            closed = isinstance(error, RuntimeError) and "Event loop is closed" in str(error)
            if not closed and "orbax" not in getattr(code, "co_filename", ""):
                hook(*args)

        return report

    sys.excepthook, sys.unraisablehook = without_orbax(sys.excepthook), without_orbax(sys.unraisablehook)
