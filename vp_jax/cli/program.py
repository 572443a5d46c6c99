"""How a program ends: one line per mistake, the exit status, tidy on Ctrl-C and on a closed pipe."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

from vp_jax.errors import UserError
from vp_jax.interrupts import Terminated, sure_interrupt

NO_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR)
EXTRAS = {
    "apache_beam": "build",
    "tensorboardX": "train",
    "matplotlib": "train",
    "torch": "torch",
    "libtpu": "aot",
    "cv2": "bench",
    "diffusers": "test",
    "transformers": "test",
    "peft": "test",
}
"""Packages that the project does without until they are asked for, and the extra that brings each."""
REQUIRED = (
    "jax jaxlib flax optax orbax grain tensorflow_datasets ml_collections numpy chex av PIL sentencepiece safetensors "
    "tqdm absl ml_dtypes"
).split()


def run_cli(main: Callable[[], int | None], *, sigterm: bool = False) -> None:
    """Run ``main`` and exit with its status: 2 and one line on stderr for a `UserError`, 130 on Ctrl-C.

    A full disk, a missing permission and a package that is not installed, which any program may meet, are reported
    like a `UserError`. With ``sigterm``, SIGTERM raises `Terminated` in ``main``; the status is 143, as without.
    """
    try:
        with sure_interrupt(*[signal.SIGINT, signal.SIGTERM][: 1 + sigterm]):
            status = main() or 0
            sys.stdout.flush()
    except UserError as error:
        status = _mistake(str(error))
    except ModuleNotFoundError as error:
        status = _mistake(missing(error))
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in NO_WRITING:
            raise
        status = _mistake(
            f"{error.filename or 'a file'} cannot be written ({error.strerror}): make room or choose another folder, "
            f"and run the same command again"
        )
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)
        status = 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    sys.exit(status)  # not from within: what the exception still holds is let go before the interpreter ends


def missing(error: ModuleNotFoundError) -> str:
    """What to install for a package that is not there; any other module that is missing is raised again."""
    package = package_of(error)
    if package in EXTRAS:
        return f"{package} is not installed: pip install 'vp_jax[{EXTRAS[package]}]'"
    if package in REQUIRED:
        return f"{package} is not installed: pip install vp_jax brings it"
    raise error


def package_of(error: ModuleNotFoundError) -> str:
    """The top-level package of the module that is missing."""
    return (error.name or "").partition(".")[0]


def _mistake(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2
