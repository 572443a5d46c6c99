"""Finished windows of a run in a folder: after a crash the same call continues where the last one stopped.

    FOLDER/job.txt                    digest of everything the windows depend on
    FOLDER/window_0003.safetensors    final latents of window 3
    FOLDER/states_0003.safetensors    with a clip weight: what window 4 looks back at, gone once window 4 is kept
    FOLDER/step.safetensors           the window at work, at most `EVERY` seconds old

Files are placed whole or not at all. What another job left in the folder is removed by the first save.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from vp_jax.diffusion.sampler import LoopState
from vp_jax.files import write_atomically, write_text
from vp_jax.inference.window import Carry
from vp_jax.models.id_resample import PreviousWindow

EVERY = 30.0
"""Seconds of denoising that a killed run may lose."""


class Unfinished(NamedTuple):
    """A window at work: its number, how many steps are done, and the state after them."""

    window: int
    done: int
    state: LoopState


class WindowStore:
    """What is kept of one job.

    Args:
      folder: made by the first save.
      job: `digest` of the job.
    """

    def __init__(self, folder: Path, job: str) -> None:
        self.folder, self._job, self._saved = folder, job, time.monotonic()
        self._ours = _read_text(folder / "job.txt") == job

    def finished(self, windows: int, *, states: bool = False) -> int:
        """How many of ``windows`` are kept, from the first on; none if the next one reads ``states`` that are lost."""
        count = 0
        while self._ours and count < windows and _whole(self._path("window", count)):
            count += 1
        lost = states and 0 < count < windows and not _whole(self._path("states", count - 1))
        return 0 if lost else count

    def latents(self, window: int) -> np.ndarray:
        """Final latents of a finished window."""
        return np.asarray(_load(self._path("window", window))["latents"])

    def carry(self, window: int) -> Carry:
        """What a finished window leaves to the next."""
        file = self._path("states", window)
        previous = PreviousWindow(**_load(file)) if _whole(file) else None
        return Carry(jnp.asarray(self.latents(window)), previous)

    def save(self, window: int, carry: Carry) -> None:
        """Keep a finished window.

        Raises:
          UserError: the folder cannot be written.
        """
        self._claim()
        if carry.previous is not None:
            _save(self._path("states", window), carry.previous._asdict())
        _save(self._path("window", window), {"latents": carry.latents_BThwC})
        self._path("states", window - 1).unlink(missing_ok=True)
        (self.folder / "step.safetensors").unlink(missing_ok=True)

    def unfinished(self) -> Unfinished | None:
        """The window at work when the last run stopped."""
        file = self.folder / "step.safetensors"
        if not self._ours or not _whole(file):
            return None
        arrays = _load(file)
        window, done = (int(arrays.pop(name)) for name in ("window", "done"))
        return Unfinished(window, done, LoopState(**arrays))

    def save_step(self, window: int, done: int, state: LoopState, *, now: bool = False) -> None:
        """Keep the window at work, if the last save is `EVERY` seconds ago, or ``now``."""
        if now or time.monotonic() - self._saved >= EVERY:
            self._claim()
            _save(self.folder / "step.safetensors", {"window": window, "done": done, **state._asdict()})
            self._saved = time.monotonic()

    def _claim(self) -> None:
        if not self._ours:
            shutil.rmtree(self.folder, ignore_errors=True)
            write_text(self.folder / "job.txt", self._job)
            self._ours = True

    def _path(self, what: str, window: int) -> Path:
        return self.folder / f"{what}_{window:04d}.safetensors"


def digest(arrays: Iterable[np.ndarray], facts: Iterable[object], folders: Iterable[Path]) -> str:
    """Digest of a job: arrays with their contents, facts by their text, files of folders by name, size and time."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype}{array.shape}".encode())
        total.update(np.ascontiguousarray(array))
    for fact in facts:
        total.update(repr(fact).encode())
    for folder in folders:
        for file in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
            stat = file.stat()
            total.update(f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    return total.hexdigest()


def _read_text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _whole(path: Path) -> bool:
    """The file is there, and as long as its header says."""
    try:
        with safe_open(path, "np"):
            return True
    except (SafetensorError, OSError):
        return False


def _load(path: Path) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value) for name, value in load_file(path).items()}


def _save(path: Path, values: dict[str, object]) -> None:
    arrays = {name: np.asarray(value, order="C") for name, value in values.items()}

    def write(partial: Path) -> None:
        try:
            save_file(arrays, partial)
        except SafetensorError as error:  # a full disk, for instance
            raise OSError(str(error)) from error

    write_atomically(path, write)
