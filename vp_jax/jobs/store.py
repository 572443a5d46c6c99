"""Finished windows of a run in a folder: after a crash the same call continues where the last one stopped.

    FOLDER/job.txt                    digest of everything the windows depend on
    FOLDER/window_0003.safetensors    final latents of window 3
    FOLDER/states_0003.safetensors    with a clip weight: what window 4 looks back at, gone once window 4 is kept
    FOLDER/step.safetensors           the window at work, at most `EVERY` seconds old

Files are written completely or not at all, and each carries digests (`vp_jax.jobs.kept_arrays`): what is damaged is
reported and sampled again. What another job left in the folder is removed by the first save. `resumable` wraps the loop
of `vp_jax.inference.stream`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion.sampler import LoopState
from vp_jax.digests import Damaged
from vp_jax.files import write_text
from vp_jax.inference.padded import PaddedVideo
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.stream import Continued, Event, Start, StepDone, WindowDone
from vp_jax.interrupts import interrupt_arrived
from vp_jax.jobs.claim import clear
from vp_jax.jobs.kept_arrays import load_arrays, save_arrays
from vp_jax.models.id_resample import PreviousWindow
from vp_jax.reading import show

EVERY = 30.0
"""Seconds of denoising that a killed run may lose."""

JOB = "job.txt"

log = logging.getLogger(__name__)


class WindowStore:
    """What is kept of one job.

    Args:
      folder: created by the first save.
      job: `digest` of the job.
      warn: called with a line for each file that is damaged, and is not used.
    """

    def __init__(self, folder: Path, job: str, warn: Callable[[str], object] = log.warning) -> None:
        self.folder, self._job, self._warn, self._saved = folder, job, warn, time.monotonic()
        self._ours = self._is_ours()

    def finished(self, windows: int, *, states: bool = False) -> int:
        """How many of ``windows`` are kept, from the first on; none if the next one reads ``states`` that are lost."""
        count = 0
        while self._ours and count < windows and self._load("window", count):
            count += 1
        if not (states and 0 < count < windows):
            return count
        return count if self._load("states", count - 1) else 0

    def carry(self, window: int) -> Carry:
        """What a finished window leaves to the next.

        Raises:
          Damaged: it was changed since `finished` looked at it.
        """
        latents = _on_device(load_arrays(self._path("window", window), self._job))["latents"]
        file = self._path("states", window)
        previous = PreviousWindow(**_on_device(load_arrays(file, self._job))) if file.exists() else None
        return Carry(latents, previous)

    def save(self, window: int, carry: Carry) -> None:
        """Keep a finished window.

        Raises:
          UserError: the folder cannot be written.
        """
        self._claim()
        if carry.previous is not None:
            save_arrays(self._path("states", window), carry.previous._asdict(), self._job)
        save_arrays(self._path("window", window), {"latents": carry.latents_BThwC}, self._job)
        self._path("states", window - 1).unlink(missing_ok=True)
        self._path("step").unlink(missing_ok=True)

    def step(self, window: int) -> StepDone | None:
        """The last step of ``window`` that was kept, if it was the window at work."""
        arrays = self._load("step") if self._ours else {}
        if not arrays:
            return None
        kept, done = (int(arrays.pop(name)) for name in ("window", "done"))
        return StepDone(kept, done, LoopState(**_on_device(arrays))) if kept == window else None

    def save_step(self, step: StepDone, *, now: bool = False) -> None:
        """Keep the window at work, if the last save is `EVERY` seconds ago, or ``now``."""
        if now or time.monotonic() - self._saved >= EVERY:
            self._claim()
            values = {"window": step.window, "done": step.done, **step.state._asdict()}
            save_arrays(self._path("step"), values, self._job)
            self._saved = time.monotonic()

    def _claim(self) -> None:
        if not self._ours:
            clear(self.folder)
        if not self._ours or _read(self.folder / JOB) != self._job:
            write_text(self.folder / JOB, self._job)
            self._ours = True

    def _is_ours(self) -> bool:
        """Whether this job filled the folder: by `JOB`, or where that is damaged by the files themselves."""
        if _read(self.folder / JOB) == self._job:
            return True
        for file in sorted(self.folder.glob("*.safetensors")):
            with contextlib.suppress(Damaged):
                load_arrays(file, self._job)
                self._warn(f"{show(self.folder / JOB)} is damaged: it is written again, nothing is lost")
                return True
        return False

    def _load(self, what: str, window: int | None = None) -> dict[str, np.ndarray]:
        """The arrays of a file; none if it is not there, or damaged, which is reported."""
        path = self._path(what, window)
        if not os.path.lexists(path):
            return {}
        try:
            return load_arrays(path, self._job)
        except Damaged as error:
            self._warn(f"{show(path)} is damaged ({error}): what it held is sampled again")
            return {}

    def _path(self, what: str, window: int | None = None) -> Path:
        return self.folder / (f"{what}.safetensors" if window is None else f"{what}_{window:04d}.safetensors")


def resumable(
    pipeline: Pipeline,
    video: PaddedVideo,
    prompt: Prompt,
    settings: Settings,
    folder: Path,
    *,
    warn: Callable[[str], object] = log.warning,
) -> Generator[Event, None, None]:
    """Events of `Pipeline.windows`, kept in ``folder``: a call with the same arguments goes on behind what it finds
    there, with the same result, bit for bit. The caller removes the folder.

    Windows are kept once they are finished, steps every `EVERY` seconds, and on an interrupt, or when this generator is
    closed, what has been done so far. Finished windows come first, as they were kept. ``warn`` is called with a line
    for each kept file that is damaged; what it held is sampled again.

    Raises:
      UserError: the folder cannot be written.
    """
    arrays = (video.frames_FHWC, video.holes_FHW, *prompt)
    facts = (settings, pipeline.models, pipeline.schedule, jax.__version__, jax.default_backend())
    store = WindowStore(folder, digest(arrays, facts, pipeline.folders), warn)
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


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    except OSError:  # damaged, as if it were not there
        return ""


def _on_device(arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value) for name, value in arrays.items()}
