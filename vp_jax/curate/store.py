"""Results of stages on disk, one folder for each record and stage, complete or absent.

    OUT/work/mask/3f/3fa0.../result.json      outcome, records, seconds
    OUT/work/mask/3f/3fa0.../masks.mkv        files of the stage
    OUT/work/done/HOST-PID.jsonl              one line for each result that was computed: what was done, and how often

The name of the folder is the digest of the record and of the stage's settings, so a rerun finds what is done, and a
changed setting misses only what depends on it. What a killed process leaves is a hidden folder, which the next one
that works on the same record removes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
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
        found = self.stored(stage, clip)
        if found.kind != WAITING and not found.again:
            return found
        folder = self.folder(stage, clip)
        begun = time.monotonic()
        with replacing(folder) as partial:
            partial.mkdir()
            place = StagePlace(self.root, partial, folder.relative_to(self.root).as_posix())
            outcome = _outcome(stage, clip, place)._replace(seconds=time.monotonic() - begun)
            (partial / "result.json").write_text(json.dumps(_to_json(outcome)))
        self._note(stage.name, folder.name, clip.name)
        return self.stored(stage, clip)

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


def _outcome(stage: CurationStage, clip: ClipRecord, place: StagePlace) -> StageOutcome:
    try:
        return StageOutcome(KEPT, records=tuple(stage.process(clip, place)))
    except Dropped as error:
        return StageOutcome(DROPPED, str(error))
    except TryAgain as error:
        return StageOutcome(FAILED, escaped(str(error)), again=True)
    except (UserError, BadRecord) as error:
        about_itself = f"{place.path(clip.video)}: "  # the journal names the clip
        return StageOutcome(FAILED, escaped(str(error)).removeprefix(about_itself))
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
