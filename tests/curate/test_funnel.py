"""The funnel: counts per stage, reasons without their numbers, and the journal."""

import json

from vp_jax.curate.funnel import DUPLICATES, funnel_of, journal_lines, kind_of_reason
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.stages.collect import Collect
from vp_jax.curate.stages.split import SplitClips
from vp_jax.curate.store import DROPPED, FAILED, KEPT, StageOutcome, StageStep

COLLECT, SPLIT = Collect(), SplitClips()
CLIP = ClipRecord("a", "a.mp4", frames=200, fps="10")
PIECES = (CLIP.but(name="a[0:90]", frames=90), CLIP.but(name="a[90:180]", frames=90))
STEPS = [
    StageStep(COLLECT, ClipRecord("a", "a.mp4"), StageOutcome(KEPT, records=(CLIP,), seconds=2.0)),
    StageStep(COLLECT, ClipRecord("b", "b.mp4"), StageOutcome(DROPPED, "too short: 3.0 s", seconds=1.0)),
    StageStep(COLLECT, ClipRecord("c", "c.mp4"), StageOutcome(DROPPED, "too short: 4.5 s", seconds=1.0)),
    StageStep(
        COLLECT, ClipRecord("d", "d.mp4"), StageOutcome(FAILED, "damaged, decoding stopped at frame 23 (Invalid data)")
    ),
    StageStep(COLLECT, ClipRecord("e", "e.mp4"), StageOutcome(KEPT, records=(CLIP.but(name="e"),))),
    StageStep(SPLIT, CLIP, StageOutcome(KEPT, records=PIECES)),
]


def test_counts_of_every_stage_and_of_duplicates():
    collect, duplicates, split = funnel_of(STEPS, [COLLECT, SPLIT], {"e": "a"}).counts
    assert (collect.came, collect.went, collect.dropped, collect.failed, collect.seconds) == (5, 2, 2, 1, 4.0)
    assert collect.video_seconds == 40.0 and collect.reasons == {
        "too short": 2,
        "damaged, decoding stopped at frame N": 1,
    }
    assert (duplicates.stage, duplicates.came, duplicates.went) == (DUPLICATES, 2, 1)
    assert (split.came, split.went) == (1, 2)


def test_the_most_frequent_reasons_come_first():
    funnel = funnel_of(STEPS, [COLLECT, SPLIT], {})
    assert funnel.reasons(1) == "2 collect: too short" and "2 x too short" in funnel.lines()[1]
    assert funnel_of([], [COLLECT], {}).reasons() == "nothing was dropped"


def test_the_journal_names_every_outcome():
    lines = [json.loads(line) for line in journal_lines(STEPS, {"e": "a"})]
    assert lines[1] == {"stage": "collect", "clip": "b", "outcome": "dropped", "reason": "too short: 3.0 s"}
    assert lines[5]["clips"] == ["a[0:90]", "a[90:180]"] and lines[5]["frames_left_out"] == 20
    assert lines[6]["reason"] == "near-duplicate of a"


def test_reasons_lose_their_numbers():
    assert kind_of_reason("no mask passes: thing 1 covers 3%") == "no mask passes the filter"
    assert kind_of_reason("sharpness 3.1, expected 10 or more") == "sharpness N expected N or more"
