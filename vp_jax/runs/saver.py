"""Training checkpoints of a run: when they are written, and how a run continues from the newest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.data.pipeline import Loader
from vp_jax.errors import UserError
from vp_jax.runs.run_config import changes
from vp_jax.training.state import TrainState


class Resumed(NamedTuple):
    """A run that goes on: its state, the steps done, and lines to print about it."""

    state: TrainState
    done: int
    lines: tuple[str, ...]


class Saver:
    """Writes and restores training checkpoints with the place in the data; the loop asks `due` after each step.

    Args:
      checkpoints: of the run's folder.
      every: steps between; 0: only at the end of a run.
      values: settings of the run, kept with every checkpoint.
      loader: whose place in the data is kept too.
    """

    def __init__(self, checkpoints: TrainingCheckpoints, every: int, values: Mapping[str, Any], loader: Loader) -> None:
        self._checkpoints, self._every, self._values, self._loader = checkpoints, every, dict(values), loader

    @property
    def latest(self) -> int | None:
        """Step of the newest complete training checkpoint."""
        return self._checkpoints.latest

    def restore(self, like: TrainState) -> Resumed | None:
        """The run where its newest checkpoint that can be read ends, ``None`` without one; the loader continues there.

        Args:
          like: shapes of the state with the shardings it is to have.

        Raises:
          UserError: the checkpoint is of another run, or none can be read.
        """
        found = self._checkpoints.restore_newest(like)
        if found is None:
            return None
        self._loader.set_state(found.notes["loader"])
        changed = changes(found.notes["config"], self._values)
        settings = f"; settings changed: {', '.join(changed)}" if changed else ""
        lines = [*found.damaged, f"resumed from step {found.step}{settings}"]
        before, now = found.notes.get("records"), self._loader.records
        if before not in (None, now):
            lines.append(f"the data had {before} records and have {now}: from here on they come in another order")
        return Resumed(found.state, found.step, tuple(lines))

    def due(self, step: int) -> bool:
        """It is time for a checkpoint after ``step``."""
        return bool(self._every) and step % self._every == 0

    def save(self, step: int, state: TrainState, *, wait: bool = False) -> None:
        """Start writing a checkpoint; ``wait`` until it is complete."""
        notes = {"loader": self._loader.get_state(), "records": self._loader.records, "config": self._values}
        self._checkpoints.save(step, state, notes, wait=wait)

    def save_now(self, step: int, state: TrainState) -> int:
        """Write a checkpoint and wait until it is complete; returns ``step``."""
        self.save(step, state, wait=True)
        return step

    def check(self) -> None:
        """Raises `UserError` if a checkpoint could not be written in the background."""
        self._checkpoints.check()

    def preempted(self, step: int) -> bool:
        """In a job of several processes: the platform announced the end, and all are to save at this ``step``."""
        return self._checkpoints.preempted(step)


def check_continues(workdir: Path, latest: int | None, *, export_only: bool) -> None:
    """Check that a run has a checkpoint to export, and that no export of another run is in its way.

    Raises:
      UserError: nothing to export, or an export but no checkpoint.
    """
    if latest is not None:
        return
    if export_only:
        raise UserError(f"nothing to export: no checkpoint in {workdir / 'checkpoints'}")
    if (workdir / "export").exists():
        raise UserError(
            f"{workdir} holds an export but no checkpoint to continue from: choose another folder, or move export/ away"
        )
