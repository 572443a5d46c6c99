"""Progress of a run is read from the store: real totals, pieces counted with their clip, what is done counted once."""

import time
from dataclasses import dataclass
from typing import ClassVar

import pytest

from vp_jax.curate import watch
from vp_jax.curate.record import ClipRecord, Dropped
from vp_jax.curate.store import StageStore
from vp_jax.curate.watch import ClipsDone, watched

CLIPS = [ClipRecord(name, f"{name}.mp4") for name in "abc"]


@dataclass(frozen=True)
class Halves:
    """Makes two pieces of a clip, and drops the clip c."""

    name: ClassVar[str] = "halves"
    version: ClassVar[int] = 1

    def process(self, clip, place):
        if clip.name == "c":
            raise Dropped("c")
        return [clip.but(name=f"{clip.name}{number}") for number in range(2)]


@dataclass(frozen=True)
class Keep:
    """Keeps a clip."""

    name: ClassVar[str] = "keep"
    version: ClassVar[int] = 1

    def process(self, clip, place):
        return [clip]


STAGES = (Halves(), Keep())


@pytest.fixture
def store(tmp_path):
    return StageStore(tmp_path)


def test_a_clip_is_done_when_all_its_pieces_are(store):
    counted, seen = ClipsDone(store, STAGES, CLIPS), []
    for work in ("a", "b", "c"):
        for piece in store.run(STAGES[0], CLIPS["abc".index(work)]).records:
            counted.look()
            seen.append((counted.done, counted.label))
            store.run(STAGES[1], piece)
    counted.look()
    assert seen == [(0, "keep"), (0, "keep"), (1, "keep"), (1, "keep")]
    assert (counted.done, counted.count, counted.label) == (3, 3, "keep")


def test_a_look_asks_for_so_many_results_and_no_more(store, monkeypatch):
    monkeypatch.setattr(watch, "_MOST_LOOKS", 2)
    for clip in CLIPS:
        store.run(STAGES[0], clip)
    counted = ClipsDone(store, STAGES[:1], CLIPS)
    counted.look()
    assert counted.done == 2
    counted.look()
    assert counted.done == 3


def test_progress_begins_with_what_an_earlier_run_did_and_ends_complete(store, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_EVERY", 0.01)
    calls = []
    store.run(STAGES[0], CLIPS[2])
    with watched(store, STAGES[:1], CLIPS, lambda *values: calls.append(values)):
        store.run(STAGES[0], CLIPS[0])
        while calls[-1][0] < 2:
            time.sleep(0.01)
        store.run(STAGES[0], CLIPS[1])
    assert calls[0] == (1, 3, "halves") and calls[-1] == (3, 3, "halves")
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)


def test_the_end_is_reported_when_the_run_fails(store):
    calls = []
    with pytest.raises(KeyboardInterrupt), watched(store, STAGES, CLIPS, lambda *values: calls.append(values)):
        raise KeyboardInterrupt
    assert calls == [(0, 3, "halves")] * 2


def test_nothing_is_reported_of_nothing(store):
    with watched(store, STAGES, [], lambda *values: pytest.fail("called")):
        pass
