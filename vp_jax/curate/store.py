"""Results of stages on disk, one folder for each record and stage, complete or absent.

    OUT/work/mask/3f/3fa0.../result.json      outcome, records, seconds
    OUT/work/mask/3f/3fa0.../masks.mkv        files of the stage
    OUT/work/done/HOST-PID.jsonl              one line for each result that was computed: what was done, and how often

The name of the folder is the digest of the record and of the stage's settings, so a rerun finds what is done, and a
changed setting misses only what depends on it. What a killed process leaves is a hidden folder, which the next one
that works on the same record removes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.curate.record import ClipRecord, CurationStage, Dropped, StagePlace, key_of
from vp_jax.data.records import BadRecord
from vp_jax.errors import UserError, escaped
from vp_jax.files import replacing
from vp_jax.reading import read_json

KEPT, DROPPED, FAILED, WAITING = "kept", "dropped", "failed", "waiting"
"""Outcomes of a stage: records, left out by a rule, not usable, and not computed (the run was interrupted)."""


class StageOutcome(NamedTuple):
    """What a stage made of a record.

    Attributes:
      kind: `KEPT`, `DROPPED`, `FAILED` or `WAITING`.
      reason: why it was dropped or failed; "" if it was kept.
      records: what it became.
      seconds: that the stage took, when it was computed.
      again: a rerun tries it again: the network failed, or the program.
    """

    kind: str
    reason: str = ""
    records: tuple[ClipRecord, ...] = ()
    seconds: float = 0.0
    again: bool = False


class TryAgain(Exception):
    """A stage cannot tell whether a record is usable, for a reason that may pass: no network, no answer."""


class StageStore:
    """The results below ``root/work``; several processes of several machines may use one at a time.

    Args:
      root: the output folder.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def folder(self, stage: CurationStage, clip: ClipRecord) -> Path:
        """Where the result of a stage is."""
        key = key_of(stage, clip)
        return self.root / "work" / stage.name / key[:2] / key

    def stored(self, stage: CurationStage, clip: ClipRecord) -> StageOutcome:
        """The stored outcome; `WAITING` if there is none."""
        file = self.folder(stage, clip) / "result.json"
        if not file.is_file():
            return StageOutcome(WAITING)
        values = read_json(file)
        records = tuple(ClipRecord(**record) for record in values.pop("records"))
        return StageOutcome(records=records, **values)

    def run(self, stage: CurationStage, clip: ClipRecord) -> StageOutcome:
        """The outcome of a stage: the stored one, or computed and stored."""
        if (found := self.done(stage, clip)) is not None:
            return found
        begun = time.monotonic()
        with self.place(stage, clip) as place:
            outcome = outcome_of(functools.partial(stage.process, clip, place), place.path(clip.video))
            self.keep(place, outcome._replace(seconds=time.monotonic() - begun))
        return self.stored(stage, clip)

    def done(self, stage: CurationStage, clip: ClipRecord) -> StageOutcome | None:
        """The stored outcome, None if there is none that stays: nothing was computed, or it is tried again."""
        found = self.stored(stage, clip)
        return None if found.kind == WAITING or found.again else found

    @contextlib.contextmanager
    def place(self, stage: CurationStage, clip: ClipRecord) -> Iterator[StagePlace]:
        """Context in which a record is worked on; what is in its folder at the end, with `keep`, is the result."""
        folder = self.folder(stage, clip)
        with replacing(folder) as partial:
            partial.mkdir()
            yield StagePlace(self.root, partial, folder.relative_to(self.root).as_posix())
        self._note(stage.name, folder.name, clip.name)

    def keep(self, place: StagePlace, outcome: StageOutcome) -> None:
        """Write the outcome of the record that is worked on in a place."""
        (place.folder / "result.json").write_text(json.dumps(_to_json(outcome)))

    def _note(self, stage: str, key: str, name: str) -> None:
        folder = self.root / "work" / "done"
        folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"stage": stage, "key": key, "clip": name})
        with (folder / f"{socket.gethostname()}-{os.getpid()}.jsonl").open("a") as file:
            file.write(line + "\n")

    def computed(self) -> Counter[tuple[str, str]]:
        """How often each (stage, key) was computed, over all runs."""
        counts: Counter[tuple[str, str]] = Counter()
        for file in sorted((self.root / "work" / "done").glob("*.jsonl")):
            for line in _lines(file):
                counts[line["stage"], line["key"]] += 1
        return counts


class StageStep(NamedTuple):
    """A record at a stage, and what became of it there."""

    stage: CurationStage
    clip: ClipRecord
    outcome: StageOutcome


def walk(store: StageStore, stages: Sequence[CurationStage], clips: Sequence[ClipRecord]) -> Iterator[StageStep]:
    """Every record at every stage that it reached, in the order of the records, from what is stored."""
    for clip in clips:
        if stages:
            outcome = store.stored(stages[0], clip)
            yield StageStep(stages[0], clip, outcome)
            yield from walk(store, stages[1:], outcome.records)


def outcome_of(make: Callable[[], Sequence[ClipRecord]], video: Path) -> StageOutcome:
    """What became of a record whose video is ``video``: the records that ``make`` gives, or why it gives none."""
    try:
        return StageOutcome(KEPT, records=tuple(make()))
    except Dropped as error:
        return StageOutcome(DROPPED, str(error))
    except TryAgain as error:
        return StageOutcome(FAILED, escaped(str(error)), again=True)
    except (UserError, BadRecord) as error:
        return StageOutcome(FAILED, escaped(str(error)).removeprefix(f"{video}: "))  # the journal names the clip
    except ModuleNotFoundError:
        raise  # of the run, not of the record: the program says what to install
    except Exception as error:  # one damaged record among thousands must not end the run
        return StageOutcome(FAILED, escaped(f"unexpected {type(error).__name__}: {error}"), again=True)


def _to_json(outcome: StageOutcome) -> dict[str, Any]:
    return {**outcome._asdict(), "records": [dataclasses.asdict(record) for record in outcome.records]}


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Lines of a log; the last one may have been cut off by a kill."""
    for line in file.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
