"""Counts of a run per stage, and its journal: what was kept, dropped, failed, and why.

{"stage": "select", "clip": "film.mp4[0:240]", "outcome": "dropped", "reason": "sharpness 3.1, expected 10 or more"}
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from vp_jax.curate.record import CurationStage
from vp_jax.curate.store import DROPPED, FAILED, KEPT, WAITING, StageStep

DUPLICATES = "duplicates"
"""The comparison of all clips, which is no stage of its own and stands behind the first."""


class StageCount(NamedTuple):
    """What became of the records of a stage.

    Attributes:
      stage: its name.
      came, went: records in and out; a stage may cut one into several.
      dropped, failed, waiting: of those that came.
      seconds: that the records took, summed.
      video_seconds: length of the videos that came.
      frames: of the videos that came.
      reasons: why records were dropped or failed, with numbers blanked out, by frequency.
    """

    stage: str
    came: int
    went: int
    dropped: int
    failed: int
    waiting: int
    seconds: float
    video_seconds: float
    frames: int
    reasons: Mapping[str, int]


class Funnel(NamedTuple):
    """Counts of all stages in order."""

    counts: Sequence[StageCount]

    def reasons(self, most: int = 3) -> str:
        """The most frequent reasons of all stages, in one line."""
        counts: Counter[str] = Counter()
        for count in self.counts:
            for reason, times in count.reasons.items():
                counts[f"{count.stage}: {reason}"] += times
        return ", ".join(f"{times} {reason}" for reason, times in counts.most_common(most)) or "nothing was dropped"

    def lines(self) -> list[str]:
        """A table for the terminal."""
        rows = [f"{'stage':<12}{'in':>8}{'out':>8}{'dropped':>9}{'failed':>8}{'seconds':>10}   most frequent reason"]
        for count in self.counts:
            first = next(iter(sorted(count.reasons.items(), key=lambda pair: -pair[1])), ("", 0))
            reason = f"{first[1]} x {first[0]}" if first[1] else ""
            rows.append(
                f"{count.stage:<12}{count.came:>8}{count.went:>8}{count.dropped:>9}{count.failed:>8}"
                f"{count.seconds:>10.1f}   {reason[:80]}"
            )
        return rows


def funnel_of(steps: Sequence[StageStep], stages: Sequence[CurationStage], duplicates: Mapping[str, str]) -> Funnel:
    """Counts of every stage."""
    counts = []
    for number, stage in enumerate(stages):
        here = [step for step in steps if step.stage is stage]
        kinds = Counter(step.outcome.kind for step in here)
        reasons = Counter(kind_of_reason(step.outcome.reason) for step in here if step.outcome.reason)
        counts.append(
            StageCount(
                stage.name,
                len(here),
                sum(len(step.outcome.records) for step in here),
                kinds[DROPPED],
                kinds[FAILED],
                kinds[WAITING],
                sum(step.outcome.seconds for step in here),
                sum((step.clip.seconds or _seconds_after(step)) for step in here),
                sum((step.clip.frames or sum(r.frames for r in step.outcome.records)) for step in here),
                dict(reasons.most_common()),
            )
        )
        if number == 0:
            came, gone = counts[0].went, len(duplicates)
            reason = {"shows the same as an earlier clip": gone} if gone else {}
            counts.append(StageCount(DUPLICATES, came, came - gone, gone, 0, 0, 0.0, 0.0, 0, reason))
    return Funnel(counts)


def _seconds_after(step: StageStep) -> float:
    return sum(record.seconds for record in step.outcome.records)


def journal_lines(steps: Sequence[StageStep], duplicates: Mapping[str, str]) -> Iterator[str]:
    """The journal, a JSON object a line, in the order of stages and clips; nothing in it depends on the time."""
    for step in steps:
        line: dict[str, object] = {"stage": step.stage.name, "clip": step.clip.name, "outcome": step.outcome.kind}
        if step.outcome.reason:
            line["reason"] = step.outcome.reason
        if step.outcome.kind == KEPT and [record.name for record in step.outcome.records] != [step.clip.name]:
            line["clips"] = [record.name for record in step.outcome.records]
            line["frames_left_out"] = step.clip.frames - sum(record.frames for record in step.outcome.records)
        yield json.dumps(line)
    for name, first in duplicates.items():
        reason = f"near-duplicate of {first}"
        yield json.dumps({"stage": DUPLICATES, "clip": name, "outcome": DROPPED, "reason": reason})


def kind_of_reason(reason: str) -> str:
    """A reason without its numbers and names, so that equal ones are counted together."""
    first = re.split(r"[:;(]", reason)[0] if not reason.startswith("no mask passes") else "no mask passes the filter"
    return re.sub(r"\d[\d.,]*", "N", first).strip()
