"""Finished windows of a run in a folder: after a crash the same call continues where the last one stopped.

    FOLDER/job.txt                    digest of everything the windows depend on
    FOLDER/window_0003.safetensors    final latents of window 3
    FOLDER/states_0003.safetensors    with a clip weight: what window 4 looks back at, gone once window 4 is kept
    FOLDER/step.safetensors           the window at work, at most `EVERY` seconds old

Files are written completely or not at all. What another job left in the folder is removed by the first save.
`resumable` wraps the loop of `vp_jax.inference.stream`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from vp_jax.diffusion.sampler import LoopState
from vp_jax.files import write_atomically, write_text
from vp_jax.inference.padded import PaddedVideo
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.stream import Continued, Event, Start, StepDone, WindowDone
from vp_jax.interrupts import interrupt_arrived
from vp_jax.jobs.claim import clear
from vp_jax.models.id_resample import PreviousWindow

EVERY = 30.0
"""Seconds of denoising that a killed run may lose."""


class WindowStore:
    """What is kept of one job.

    Args:
      folder: created by the first save.
      job: `digest` of the job.
    """

    def __init__(self, folder: Path, job: str) -> None:
        self.folder, self._job, self._saved = folder, job, time.monotonic()
        self._ours = _read_text(folder / "job.txt") == job

    def finished(self, windows: int, *, states: bool = False) -> int:
        """How many of ``windows`` are kept, from the first on; none if the next one reads ``states`` that are lost."""
        count = 0
        while self._ours and count < windows and _complete(self._path("window", count)):
            count += 1
        lost = states and 0 < count < windows and not _complete(self._path("states", count - 1))
        return 0 if lost else count

    def carry(self, window: int) -> Carry:
        """What a finished window leaves to the next."""
        file = self._path("states", window)
        previous = PreviousWindow(**_load(file)) if _complete(file) else None
        return Carry(_load(self._path("window", window))["latents"], previous)

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

    def step(self, window: int) -> StepDone | None:
        """The last step of ``window`` that was kept, if it was the window at work."""
        file = self.folder / "step.safetensors"
        if not self._ours or not _complete(file):
            return None
        arrays = _load(file)
        kept, done = (int(arrays.pop(name)) for name in ("window", "done"))
        return StepDone(kept, done, LoopState(**arrays)) if kept == window else None

    def save_step(self, step: StepDone, *, now: bool = False) -> None:
        """Keep the window at work, if the last save is `EVERY` seconds ago, or ``now``."""
        if now or time.monotonic() - self._saved >= EVERY:
            self._claim()
            values = {"window": step.window, "done": step.done, **step.state._asdict()}
            _save(self.folder / "step.safetensors", values)
            self._saved = time.monotonic()

    def _claim(self) -> None:
        if not self._ours:
            clear(self.folder)
            write_text(self.folder / "job.txt", self._job)
            self._ours = True

    def _path(self, what: str, window: int) -> Path:
        return self.folder / f"{what}_{window:04d}.safetensors"


def resumable(
    pipeline: Pipeline, video: PaddedVideo, prompt: Prompt, settings: Settings, folder: Path
) -> Generator[Event, None, None]:
    """Events of `Pipeline.windows`, kept in ``folder``: a call with the same arguments goes on behind what it finds
    there, with the same result, bit for bit. The caller removes the folder.

    Windows are kept once they are finished, steps every `EVERY` seconds, and on an interrupt, or when this generator is
    closed, what has been done so far. Finished windows come first, as they were kept.

    Raises:
      UserError: the folder cannot be written.
    """
    arrays = (video.frames_FHWC, video.holes_FHW, *prompt)
    facts = (settings, pipeline.models, pipeline.schedule, jax.__version__, jax.default_backend())
    store = WindowStore(folder, digest(arrays, facts, pipeline.folders))
    windows = len(plan_windows(len(video.frames_FHWC), settings).windows)
    finished, carry = store.finished(windows, states=settings.clip_weight > 0), None
    for window in range(finished):
        carry = store.carry(window)
        yield WindowDone(window, carry)
    if finished == windows:
        return
    step = store.step(finished)
    if finished or step:
        yield Continued(finished, step.done if step else 0)
    events = pipeline.windows(video, prompt, settings, start=Start(finished, carry, step))
    yield from _kept(events, store, settings.steps)


def _kept(events: Iterator[Event], store: WindowStore, steps: int) -> Iterator[Event]:
    last: Event | None = None
    try:
        for event in events:
            if isinstance(event, StepDone):
                jax.block_until_ready(event.state)
            last = event
            if isinstance(event, StepDone) and event.done < steps:
                store.save_step(event)
            elif isinstance(event, WindowDone):
                store.save(event.window, event.carry)
            yield event
    except (KeyboardInterrupt, GeneratorExit):
        interrupt_arrived()
        if isinstance(last, StepDone) and last.done == steps:
            last = next(events, None)  # all that is missing is the window's carry
        if isinstance(last, StepDone):
            store.save_step(last, now=True)
        elif isinstance(last, WindowDone):
            store.save(last.window, last.carry)
        raise


def digest(arrays: Iterable[np.ndarray], facts: Iterable[object], folders: Iterable[Path]) -> str:
    """Digest of a job: arrays with their contents, facts by their text, files of folders by name, size and time."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    for fact in facts:
        total.update(repr(fact).encode())
    for folder in folders:
        for file in sorted(path for path in (folder, *folder.rglob("*")) if path.is_file()):
            stat = file.stat()
            total.update(f"{file.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}".encode())
    return total.hexdigest()


def _read_text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def _complete(path: Path) -> bool:
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
