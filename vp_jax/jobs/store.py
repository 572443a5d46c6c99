"""Finished windows of a run in a folder: after a crash the same call continues where the last one stopped.

    FOLDER/manifest.json              what the windows depend on, see `vp_jax.jobs.manifest`
    FOLDER/window_0003.safetensors    final latents of window 3
    FOLDER/states_0003.safetensors    with a clip weight: what window 4 looks back at, gone once window 4 is kept
    FOLDER/step.safetensors           the window at work, at most `EVERY` seconds old

Files are written completely or not at all, and each carries digests (`vp_jax.jobs.kept_arrays`) and the key of its
window: what is damaged is reported and sampled again, and a window of another key is no window of this job. `resumable`
wraps the loop of `vp_jax.inference.stream`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion.sampler import LoopState
from vp_jax.digests import Damaged
from vp_jax.errors import UserError
from vp_jax.inference.padded import PaddedVideo
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import WindowPlan
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.stream import Continued, Event, Start, StepDone, WindowDone
from vp_jax.inference.window import window_noise
from vp_jax.interrupts import interrupt_arrived
from vp_jax.jobs.claim import clear, files_of_runs
from vp_jax.jobs.kept_arrays import load_arrays, save_arrays
from vp_jax.jobs.manifest import MANIFEST, Manifest, fact_differences, refuse
from vp_jax.models.id_resample import PreviousWindow
from vp_jax.reading import show

EVERY = 30.0
"""Seconds of denoising that a killed run may lose."""

log = logging.getLogger(__name__)


class WindowStore:
    """What is kept of one job.

    Args:
      folder: created by the first save.
      manifest: of the job.
      warn: called with a line for each file that is damaged, and is not used.
      redo: windows of the job were changed on purpose: those of the manifest in the folder may differ, its facts not.
      fresh: remove what another job left in the folder.
      keep_states: keep the states of every window, not of the last alone.

    Raises:
      UserError: the folder holds unfinished work of another job, named by what differs.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        warn: Callable[[str], object] = log.warning,
        *,
        redo: bool = False,
        fresh: bool = False,
        keep_states: bool = False,
    ) -> None:
        self.folder, self.manifest, self._warn, self._keep_states = folder, manifest, warn, keep_states
        self._keys, self._saved = manifest.keys, time.monotonic()
        if fresh:
            clear(folder)
        stored = self._stored()
        if stored is not None:
            self._refuse(stored, redo)
        self._expected = self._keys if stored is None else stored.keys
        """The key that each window's file carries by the manifest in the folder."""
        self._claimed = stored is not None and stored.keys == self._keys and not stored.finished

    def has(self, window: int) -> bool:
        """Window ``window`` is kept."""
        return bool(self._load("window", window))

    def has_states(self, window: int) -> bool:
        """What window ``window`` leaves to the next is kept beside its latents."""
        return bool(self._load("states", window))

    def carry(self, window: int) -> Carry:
        """What a finished window leaves to the next.

        Raises:
          Damaged: it was changed since `has` looked at it.
        """
        latents = _on_device(load_arrays(self._path("window", window), self._keys[window]))["latents"]
        file = self._path("states", window)
        previous = None
        if file.exists():
            previous = PreviousWindow(**_on_device(load_arrays(file, self._keys[window])))
        return Carry(latents, previous)

    def save(self, window: int, carry: Carry) -> None:
        """Keep a finished window.

        Raises:
          UserError: the folder cannot be written.
        """
        self._claim()
        if carry.previous is not None:
            arrays = {name: value for name, value in carry.previous._asdict().items() if value is not None}
            save_arrays(self._path("states", window), arrays, self._keys[window])
        save_arrays(self._path("window", window), {"latents": carry.latents_BThwC}, self._keys[window])
        if not self._keep_states:
            self._path("states", window - 1).unlink(missing_ok=True)
        self._path("step").unlink(missing_ok=True)

    def step(self, window: int) -> StepDone | None:
        """The last step of ``window`` that was kept, if it was the window at work."""
        arrays = self._load("step", window)
        if not arrays:
            return None
        kept, done = (int(arrays.pop(name)) for name in ("window", "done"))
        return StepDone(kept, done, LoopState(**_on_device(arrays))) if kept == window else None

    def save_step(self, step: StepDone, *, now: bool = False) -> None:
        """Keep the window at work, if the last save is `EVERY` seconds ago, or ``now``."""
        if now or time.monotonic() - self._saved >= EVERY:
            self._claim()
            state = {name: value for name, value in step.state._asdict().items() if value is not None}
            values = {"window": step.window, "done": step.done, **state}
            save_arrays(self._path("step"), values, self._keys[step.window])
            self._saved = time.monotonic()

    def finish(self, *, keep: bool, **notes: Any) -> int:
        """The result is written: keep the windows for a redo, or remove everything.

        Args:
          keep: the windows; their states only if this store keeps those of every window.
          notes: more for the notes of the manifest.

        Returns:
          Bytes that stay.
        """
        if not keep:
            clear(self.folder)
            return 0
        self._path("step").unlink(missing_ok=True)
        for file in () if self._keep_states else files_of_runs(self.folder):
            if file.name.startswith("states_"):
                file.unlink(missing_ok=True)
        notes = {**self.manifest.notes, **notes}
        dataclasses.replace(self.manifest, finished=True, notes=notes).write(self.folder)
        return sum(file.stat().st_size for file in self.folder.iterdir() if file.is_file())

    def _claim(self) -> None:
        """The folder is this job's from now on: what is not of it goes, then the manifest is written."""
        if not self._claimed:
            for file in files_of_runs(self.folder):
                if file.suffix == ".safetensors" and not self._valid(file):
                    file.unlink(missing_ok=True)
        if not self._claimed or not (self.folder / MANIFEST).is_file():
            self.manifest.write(self.folder)
            self._claimed, self._expected = True, self._keys

    def _stored(self) -> Manifest | None:
        """The manifest in the folder; a damaged one is written again if the files beside it are of this job.

        Raises:
          UserError: a damaged manifest, and none of the files beside it is of this job.
        """
        try:
            return Manifest.read(self.folder)
        except Damaged as error:
            numbers = range(len(self._keys))
            if any(_key_of(self._path(what, k), self._keys[k]) for what in ("window", "states") for k in numbers) or (
                any(_key_of(self._path("step"), key) for key in self._keys)
            ):
                self._warn(f"{show(self.folder / MANIFEST)} is damaged: it is written again, nothing is lost")
                return None
            if not holds_work(self.folder):
                return None
            raise UserError(
                f"{show(self.folder / MANIFEST)} is damaged ({error}), and the windows beside it are of another job: "
                f"remove the folder or give `fresh`"
            ) from error

    def _refuse(self, stored: Manifest, redo: bool) -> None:
        place = show(self.folder)
        if redo:
            refuse(fact_differences(self.manifest.facts, stored.facts, place), redo=True)
        elif holds_work(self.folder) and not stored.finished:
            refuse(self.manifest.differences(stored, place))

    def _valid(self, file: Path) -> bool:
        """A file of this job, by its name and the key that it should carry."""
        what, _, number = file.stem.partition("_")
        if what == "step":
            return any(_key_of(file, key) for key in self._keys)
        return number.isdigit() and self._is_expected(int(number))

    def _is_expected(self, window: int) -> bool:
        """Whether a file of ``window`` is of this job by both manifests; another key then is damage."""
        return window < min(len(self._keys), len(self._expected)) and self._keys[window] == self._expected[window]

    def _load(self, what: str, window: int) -> dict[str, np.ndarray]:
        """The arrays of a file; none if it is not there, not of this job, or damaged, which is reported."""
        path = self._path(what, None if what == "step" else window)
        if not os.path.lexists(path) or not self._is_expected(window):
            return {}
        try:
            return load_arrays(path, self._keys[window])
        except Damaged as error:
            if what == "step" and any(_key_of(path, key) for key in self._keys):
                return {}  # of another window: left by an earlier stop
            self._warn(f"{show(path)} is damaged ({error}): what it held is sampled again")
            return {}

    def _path(self, what: str, window: int | None = None) -> Path:
        return self.folder / (f"{what}.safetensors" if window is None else f"{what}_{window:04d}.safetensors")


def resumable(
    pipeline: Pipeline,
    video: PaddedVideo,
    prompts: Sequence[Prompt],
    settings: Settings,
    store: WindowStore,
    plan: WindowPlan | None = None,
) -> Generator[Event, None, None]:
    """Events of `Pipeline.windows`, kept in a store: a call with the same arguments goes on behind what it finds
    there, with the same result, bit for bit. The caller removes the folder.

    Windows are kept once they are finished, steps every `EVERY` seconds, and on an interrupt, or when this generator is
    closed, what has been done so far. Kept windows come as they are, in their turn. A window is sampled if it is not
    kept, or if the next one to be sampled reads its states and they are lost.

    Args:
      pipeline: models and weights.
      video: what the windows read.
      prompts: text embeddings of each window.
      settings: of the run; seeds are those of the store's manifest.
      store: what is kept.
      plan: of the windows, if the video has scene cuts.

    Raises:
      UserError: the folder cannot be written.
    """
    seeds = [window.seed for window in store.manifest.windows]
    sampled = _to_sample(store, len(seeds), states=settings.clip_weight > 0, joint=settings.joint)
    carry, window = None, 0
    while window < len(seeds):
        if not sampled[window]:
            carry = store.carry(window)
            yield WindowDone(window, carry)
            window += 1
            continue
        step = None if settings.joint else store.step(window)
        if window or step:
            yield Continued(window, step.done if step else 0)
        events = pipeline.windows(
            video,
            prompts,
            settings,
            noise_of=lambda k: window_noise(settings, k, seeds[k]),
            start=Start(window, carry, step),
            plan=plan,
        )
        end = next((k for k in range(window, len(seeds)) if not sampled[k]), len(seeds))
        yield from _kept(events, store, settings.steps, end - 1, steps_kept=not settings.joint)
        window, carry = end, None


def _to_sample(store: WindowStore, windows: int, *, states: bool, joint: bool = False) -> list[bool]:
    """Which windows have to be sampled: where they continue one another, all of a shot behind the first not kept."""
    sampled = [not store.has(window) for window in range(windows)]
    begins = store.manifest.fresh
    for window in range(1, windows):
        follows = window not in begins if joint else store.manifest.reads(window)
        sampled[window] |= sampled[window - 1] and follows
    for window in reversed(range(1, windows)) if joint else ():
        sampled[window - 1] |= sampled[window] and window not in begins
    for window in reversed(range(1, windows)):
        looks_back = states and store.manifest.reads(window)
        if sampled[window] and not sampled[window - 1] and looks_back and not store.has_states(window - 1):
            sampled[window - 1] = True
    return sampled


def _kept(
    events: Iterator[Event], store: WindowStore, steps: int, last_window: int, *, steps_kept: bool = True
) -> Iterator[Event]:
    """Pass on events up to the end of ``last_window``, and keep what they bring."""
    last: Event | None = None
    try:
        for event in events:
            if isinstance(event, StepDone):
                jax.block_until_ready(event.state)
            if not isinstance(event, StepDone) or event.complete or event.done == steps:
                last = event
            if isinstance(event, StepDone) and event.complete and event.done < steps and steps_kept:
                store.save_step(event)
            elif isinstance(event, WindowDone):
                store.save(event.window, event.carry)
            yield event
            if isinstance(event, WindowDone) and event.window == last_window:
                return
    except (KeyboardInterrupt, GeneratorExit):
        interrupt_arrived()
        if not steps_kept:
            raise
        if isinstance(last, StepDone) and last.done == steps:
            last = next(events, None)  # all that is missing is the window's carry
        if isinstance(last, StepDone):
            store.save_step(last, now=True)
        elif isinstance(last, WindowDone):
            store.save(last.window, last.carry)
        raise


def holds_work(folder: Path) -> bool:
    """The folder holds windows or a step."""
    return any(file.suffix == ".safetensors" for file in files_of_runs(folder))


def _key_of(path: Path, key: str) -> bool:
    """Whether the file at ``path`` is there, undamaged, and carries ``key``."""
    try:
        return bool(path.exists() and load_arrays(path, key))
    except Damaged:
        return False


def _on_device(arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value) for name, value in arrays.items()}
