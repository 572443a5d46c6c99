"""Steps whose loss is not finite: the clips that they held are named, and a run goes on without them.

    step -> NotFinite (which rows) -> names of the clips, of all processes -> journal -> next start leaves them out

The step itself leaves the weights as they were (`vp_jax.training.step`). Where single clips of a batch are the cause,
the state is saved with the step left out. Where every clip of a batch is affected, the weights may be the cause, and
the newest checkpoint stays that of before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.data.journal import Journal, read_journal
from vp_jax.errors import UserError
from vp_jax.runs import multihost
from vp_jax.runs.recorder import BadStep, NotFinite

SHOWN = 8
"""Clips that a line names; the journal has all of them."""


class Blame(NamedTuple):
    """Clips of a bad step, of all processes.

    Attributes:
      step: the step.
      clips: of its batch.
      causes: those whose loss is not finite; all of them where none stands out.
      certain: single clips stand out.
    """

    step: int
    clips: tuple[str, ...]
    causes: tuple[str, ...]
    certain: bool


def blame(bad: BadStep, share: tuple[int, int]) -> Blame:
    """Names of the clips of a bad step; every process of the job calls it.

    Args:
      bad: the step, with this process's clips.
      share: index and number of the parts of a batch, see `vp_jax.runs.input_pipeline.host_share`.
    """
    rows = len(bad.clips)
    losses_B = np.full(rows * share[1], np.nan) if bad.losses_B is None else np.asarray(bad.losses_B)
    own_B = losses_B[share[0] * rows :][:rows]
    found = [name for name, loss in zip(bad.clips, own_B) if not np.isfinite(loss)]
    everywhere = multihost.gathered([list(bad.clips), found])
    clips, causes = (tuple(sorted({name for part in everywhere for name in part[which]})) for which in (0, 1))
    certain = 0 < len(causes) < len(clips)
    return Blame(bad.step, clips, causes if certain else clips, certain)


def set_aside(fault: NotFinite, share: tuple[int, int], journal: Path) -> tuple[bool, str]:
    """Write the clips that are the cause to the journal; every process of the job calls it.

    Args:
      fault: raised by the recorder.
      share: see `blame`.
      journal: of the data.

    Returns:
      Whether single clips are the cause of every bad step, so that the state can be saved; and what happened, in one
      line that lacks its end.
    """
    found = [blame(bad, share) for bad in fault.steps]
    certain = all(one.certain for one in found)
    reported = found if certain else found[:1]  # with weights that are broken, the later steps say nothing
    if multihost.is_chief():
        notes = Journal(journal)
        for one in reported:
            for name in one.causes:
                notes.exclude(name, f"step {one.step}", f"the loss of step {one.step} was not finite")
    first = reported[0]
    names = shown(dict.fromkeys(name for one in reported for name in one.causes))
    steps = shown(str(one.step) for one in reported)
    if certain:
        return True, f"step {steps}: the loss is not finite for {names} (batch: {shown(first.clips)})"
    return False, f"step {steps}: {fault.names} not finite, and no single clip stands out in the batch {names}"


def excluded_clips(journal: Path | str | None) -> tuple[str, ...]:
    """Names of the clips that an earlier start of the run excluded."""
    return tuple(sorted(read_journal(journal, "excluded"))) if journal else ()


def announce_excluded(names: Sequence[str], journal: Path | str | None) -> None:
    """Print once, in one line, which clips are left out."""
    if names:
        multihost.print_once(
            f"data     {len(names)} excluded, the loss of a step with them was not finite: {shown(names)}; "
            f"remove their lines from {journal} to use them again"
        )


def shown(names: Iterable[str]) -> str:
    """The first `SHOWN` names, and the number of the others."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def error_of(fault: NotFinite, share: tuple[int, int], journal: Path, save: Callable[[], int]) -> UserError:
    """The one line with which a run ends that met a bad step; every process of the job calls it.

    Args:
      fault: raised by the recorder.
      share: see `blame`.
      journal: of the data.
      save: saves the state and returns its step.
    """
    certain, line = set_aside(fault, share, journal)
    if certain:
        return UserError(
            f"{line}; its update was left out and step {save()} is saved: the same command continues without these "
            f"clips, which are named in {journal}"
        )
    return UserError(
        f"{line}; the newest checkpoint is from before: the same command continues from there without these clips, "
        f"which are named in {journal}; if other clips follow, lower optimizer.lr"
    )
