"""Checkpoints of a training run: saved in the background, verified when they are read."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from vp_jax import digests
from vp_jax.checkpoint import array_digests
from vp_jax.checkpoint.failures import MAKE_ROOM, in_one_line, quiet_threads
from vp_jax.checkpoint.weights import misnamed, tree_differences
from vp_jax.digests import Damaged, Digests
from vp_jax.errors import UserError
from vp_jax.reading import check_tree, show
from vp_jax.schema import listed
from vp_jax.sharding import path_name

STATE, NOTES, DIGESTS = "state", "notes", "digests"
ASIDE = "damaged-{}"
"""Name of a checkpoint that could not be read."""

log = logging.getLogger(__name__)


class Restored(NamedTuple):
    """A checkpoint that was read.

    Attributes:
      step: its number.
      state: as the caller wanted it.
      notes: its JSON.
      damaged: one line about each newer checkpoint that could not be read and was moved aside.
    """

    step: int
    state: Any
    notes: dict[str, Any]
    damaged: tuple[str, ...]


class TrainingCheckpoints:
    """Checkpoints of a training run: its state and JSON notes (place in the data, settings). Use with ``with``.

    Saving goes on in the background and is atomic: an interrupted one leaves the older ones alone. A state is stored as
    one flat dict of '/'-joined paths, so that no class is baked into files. The digests of its arrays and of the JSON
    are stored with it and compared whenever they are read. In a job of several processes all of them call every method.
    """

    def __init__(self, folder: str | Path, keep: int) -> None:
        """``folder`` is created if missing; the newest ``keep`` checkpoints stay."""
        quiet_threads()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        handlers: dict[str, Any] = {STATE: ocp.StandardCheckpointHandler()}
        handlers |= {name: ocp.JsonCheckpointHandler() for name in (NOTES, DIGESTS)}
        self._manager = ocp.CheckpointManager(Path(folder).resolve(), options=options, item_handlers=handlers)
        self.folder = folder

    def __enter__(self) -> TrainingCheckpoints:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            with self._writing():
                self._manager.close()
        except UserError:
            if error is None:  # otherwise that one is reported, which may be the same
                raise

    @property
    def latest(self) -> int | None:
        """Number of the newest complete checkpoint, whether it can be read or not."""
        step: int | None = self._manager.latest_step()
        return step

    def save(self, step: int, state: Any, notes: dict[str, Any], *, wait: bool = False) -> None:
        """Start writing a checkpoint, unless ``step`` is there already; ``wait`` until it is complete."""
        with self._writing():
            if step not in self._manager.all_steps():
                arrays = _by_path(state)
                known = Digests(array_digests.of_arrays(arrays), {NOTES: digests.of_json(notes)}, {})
                # Orbax copies the arrays before it returns: the caller may donate them to the next step
                args: dict[str, Any] = {STATE: ocp.args.StandardSave(arrays), NOTES: ocp.args.JsonSave(notes)}
                args[DIGESTS] = ocp.args.JsonSave(digests.to_tables(known))
                self._manager.save(step, force=True, args=ocp.args.Composite(**args))
            if wait:
                self._manager.wait_until_finished()

    def check(self) -> None:
        """Raises `UserError` if a checkpoint could not be written in the background."""
        with self._writing():
            self._manager.check_for_errors()

    def notes(self, step: int) -> dict[str, Any]:
        """The JSON of a checkpoint.

        Raises:
          Damaged: it cannot be read, or is not what was written (a `UserError` too).
        """
        fault: UserError | None = None
        notes: dict[str, Any] = {}
        try:
            with self._reading(step):
                check_tree(self._place(step))
                notes = ocp.JsonCheckpointHandler().restore(self._place(step) / NOTES)
                known = self._digests(step)
                if known is not None and digests.of_json(notes) != known.files.get(NOTES):
                    raise ValueError("its notes are not what was written")
        except UserError as error:
            fault = error
        self._agree(step, fault)
        return notes

    def restore(self, step: int, like: Any) -> Any:
        """The state of checkpoint ``step``.

        Args:
          step: its number.
          like: the state's shapes, with the shardings it is to have: any mesh, not only the one it was saved on.

        Raises:
          UserError: the stored state has other leaves or shapes (another stage, model or optimizer).
          Damaged: it cannot be read, or holds other values than were written (a `UserError` too).
        """
        fault: UserError | None = None
        restored: dict[str, Any] = {}
        wanted = _by_path(like)
        try:
            restored = self._restore(step, wanted)
        except UserError as error:
            fault = error
        self._agree(step, fault)
        with self._reading(step):
            known = self._digests(step)
            if known is not None:
                wrong = array_digests.changed_arrays(known.arrays, array_digests.of_arrays(restored))
                if wrong:
                    raise ValueError(f"{len(wrong)} of {len(restored)} arrays are not what was written: {wrong[0]}")
        return jax.tree.unflatten(jax.tree.structure(like), [restored[path] for path in wanted])

    def restore_newest(self, like: Any) -> Restored | None:
        """State and notes of the newest checkpoint that can be read, ``None`` if there is no checkpoint at all.

        Newer ones that are damaged or empty are moved aside, to ``damaged-STEP``: the run will write that step again.

        Args:
          like: see `restore`.

        Raises:
          UserError: the checkpoint is of another run, or none can be read (then all stay where they are).
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                notes, state = self.notes(step), self.restore(step, like)
            except Damaged as error:
                damaged[step] = str(error).partition(": move ")[0]
                continue
            lines = [f"{text}: {self._move_aside(number)}, using step {step}" for number, text in damaged.items()]
            return Restored(step, state, notes, tuple(lines))
        if damaged:
            raise Damaged(
                f"no checkpoint in {self.folder} can be read: {listed(list(damaged.values()), 3)}. Copy one from a "
                f"backup, or move the folder away to start again"
            )
        return None

    def preempted(self, step: int) -> bool:
        """In a job of several processes: the platform announced the end, and all are to save at this ``step``."""
        return bool(self._manager.reached_preemption(step))

    def _restore(self, step: int, wanted: dict[str, Any]) -> dict[str, Any]:
        # by the handler alone: the manager waits for all processes at its end, and one that fails never comes there
        handler, place = ocp.StandardCheckpointHandler(), self._place(step) / STATE
        with self._reading(step):
            check_tree(self._place(step))
            known = self._digests(step)
            if not (place / "_METADATA").exists():
                raise ValueError("it has no description of its arrays")
            stored = handler.metadata(place)
            stored = stored.tree if hasattr(stored, "tree") else stored
            wrong = misnamed(known.arrays, stored) if known is not None else []
            if wrong:
                raise ValueError(f"its description of {len(wrong)} arrays is not what was written: {wrong[0]}")
        # only shapes are compared here, so that one message names every difference
        faults = tree_differences(stored, wanted)
        if faults:
            raise UserError(
                f"checkpoint {step} in {self.folder} is of another run: {listed(faults, 8)}. Use its settings, or "
                f"another workdir"
            )
        with self._reading(step):
            restored: dict[str, Any] = handler.restore(place, args=ocp.args.StandardRestore(wanted))
        return restored

    def _digests(self, step: int) -> Digests | None:
        if not (self._place(step) / DIGESTS).exists():
            self._report_once()
            return None
        return digests.from_tables(ocp.JsonCheckpointHandler().restore(self._place(step) / DIGESTS))

    def _report_once(self) -> None:
        if not getattr(self, "_reported", False):
            self._reported = True
            log.warning(
                "note: %s holds checkpoints of an older version without digests: damage would not be noticed",
                show(self.folder),
            )

    def _agree(self, step: int, fault: UserError | None) -> None:
        """Raise on every process what one of them met: 0 nothing, 1 damage, 2 a state of another run."""
        mine = 0 if fault is None else 1 if isinstance(fault, Damaged) else 2
        if jax.process_count() == 1:
            worst = mine
        else:
            worst = int(np.max(multihost_utils.process_allgather(np.int32(mine))))
        if fault is not None and mine == worst:
            raise fault
        if worst:
            kind = Damaged if worst == 1 else UserError
            raise kind(f"checkpoint {step} in {self.folder} cannot be read (by another process of this job)")

    def _move_aside(self, step: int) -> str:
        source, number = self._place(step), 1
        target = source.with_name(ASIDE.format(step))
        while target.exists() and jax.process_index() == 0:
            number += 1
            target = source.with_name(f"{ASIDE.format(step)}-{number}")
        if jax.process_index() == 0:
            with self._writing():
                source.rename(target)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"checkpoint {step} is moved aside")
        self._manager.reload()
        return f"moved to {target.name}"

    def _place(self, step: int) -> Any:
        """Folder of a checkpoint, in Orbax's kind of path."""
        return self._manager.directory / str(step)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return in_one_line(f"a checkpoint cannot be written to {self.folder}", MAKE_ROOM)

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Context in which a checkpoint is read: everything that goes wrong is `Damaged`."""
        older = [other for other in self._manager.all_steps() if other < step]
        then = f"move {Path(self.folder) / str(step)} away, the same command then continues from step"
        what = f"checkpoint {step} in {self.folder} cannot be read"
        with in_one_line(what, f"{then} {max(older, default=0)}", Damaged):
            try:
                yield
            except UserError as error:
                raise ValueError(str(error)) from error


def _by_path(state: Any) -> dict[str, Any]:
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]}
