"""How a program ends: one line per mistake, the exit status, tidy on Ctrl-C and on a closed pipe."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable

from vp_jax.errors import UserError, escaped
from vp_jax.interrupts import Terminated, sure_interrupt

NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR)
EXTRAS = {
    "apache_beam": "build",
    "dask": "curate",
    "distributed": "curate",
    "tensorboardX": "train",
    "matplotlib": "train",
    "wandb": "wandb",
    "torch": "torch",
    "libtpu": "aot",
    "fastapi": "serve",
    "uvicorn": "serve",
    "diffusers": "edit",
    "transformers": "segment",
    "torchvision": "segment",
    "peft": "test",
}
"""Packages that the project does without until they are asked for, and the extra that brings each."""
REQUIRED = (
    "jax jaxlib flax optax orbax grain tensorflow_datasets ml_collections numpy chex av PIL sentencepiece safetensors "
    "tqdm absl ml_dtypes scipy cv2 scenedetect"
).split()


def run_cli(main: Callable[[], int | None], *, sigterm: bool = False) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C.

    A full disk, a missing permission and a package that is not installed, which any program may meet, are reported
    like a `UserError`. Any other exception is one line too, with status 1; its traceback is in a file that the line
    names. With ``sigterm``, SIGTERM raises `Terminated` in ``main``; the status is 143, as without.
    """
    _mend_streams()
    try:
        with sure_interrupt(*[signal.SIGINT, signal.SIGTERM][: 1 + sigterm]):
            status = main() or 0
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        _say("interrupted")
        status = 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
        _leave_compiling(status)
    except Exception as error:
        status = status_of(error)
    _let_go()
    sys.exit(status)  # not from within: what the exception still holds is let go before the interpreter ends


_BAR = re.compile(r"\r?\n*(\x1b\[A)*")
"""What progress bars write apart from their text: to the start of the line, lines down, lines up."""


class _Plain(io.TextIOWrapper):
    """A standard stream that shows control characters of names and prompts instead of obeying them.

    Tabs and ends of lines stay, and at the start of what is written the moves of progress bars.
    """

    def write(self, text: str) -> int:
        moves = _BAR.match(text)
        start = moves.end() if moves and (moves.end() == len(text) or not moves[1]) else 0
        rest = text[start:]
        shown = rest if rest.isprintable() else "".join(c if c in "\n\t" else escaped(c) for c in rest)
        super().write(text[:start] + shown)
        return len(text)


def _mend_streams() -> None:
    """Streams that were closed become the null device, and every text can be printed, even one that is not UTF-8."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # else the next file to be opened would be taken for it
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", errors="backslashreplace"))
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            plain = _Plain(
                stream.buffer,
                stream.encoding,
                "backslashreplace",
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, plain)


def _leave_compiling(status: int) -> None:
    """End at once if JAX is in use, while the interrupt still holds all that was there when it came.

    XLA compiles in a thread of its own, which an interrupt does not stop. It would read what is let go with the
    exception, or what the end of the interpreter takes away.
    """
    if "jaxlib" in sys.modules:
        _let_go()
        os._exit(status)


def _let_go() -> None:
    """Flush the streams. What cannot be written is dropped: its reader left, as `| head` does, or the disk is full."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except ValueError:  # closed meanwhile
            pass


def status_of(error: Exception) -> int:
    """Report an exception in a line on stderr; the exit status."""
    if isinstance(error, UserError):
        return _mistake(str(error))
    if isinstance(error, ModuleNotFoundError) and (text := missing(error)):
        return _mistake(text)
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE
    if isinstance(error, OSError) and error.errno in NO_WRITING:
        return _mistake(
            f"{error.filename or 'the output'} cannot be written ({error.strerror}): make room or choose another "
            f"folder, and run the same command again"
        )
    return _fault(error)


def _fault(error: Exception) -> int:
    """Report what should not have happened, with the place of its traceback."""
    text = "".join(traceback.format_exception(error))
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    try:
        descriptor, name = tempfile.mkstemp(prefix="vp_jax-", suffix=".log")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{sys.argv}\n{sys.version}\n\n{text}")
    except OSError:  # no temporary folder either
        _say(text)
        name = "the text above"
    _say(f"error: unexpected {escaped(reason)}; please report it with {name}, which holds the traceback")
    return 1


def missing(error: ModuleNotFoundError) -> str | None:
    """What to install for a package that is not there; ``None`` for any other module that is missing."""
    package = package_of(error)
    if package in EXTRAS:
        return f"{package} is not installed: pip install 'vp_jax[{EXTRAS[package]}]'"
    if package in REQUIRED:
        return f"{package} is not installed: pip install vp_jax brings it"
    return None


def package_of(error: ModuleNotFoundError) -> str:
    """The top-level package of the module that is missing."""
    return (error.name or "").partition(".")[0]


def _mistake(text: str) -> int:
    _say(f"error: {escaped(text)}")
    return 2


def _say(text: str) -> None:
    """Print a line on stderr, if anybody can still read it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass
