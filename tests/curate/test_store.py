"""The store: a result is complete or absent, failures are kept or tried again, and every computation is counted."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from vp_jax.curate.record import ClipRecord, Dropped
from vp_jax.curate.store import DROPPED, FAILED, KEPT, WAITING, StageStore, TryAgain, walk
from vp_jax.errors import UserError

CLIP = ClipRecord("a", "a.mp4")
CALLS = []


@dataclass(frozen=True)
class Trial:
    """Does what its setting says."""

    what: str = "keep"

    name: ClassVar[str] = "trial"
    version: ClassVar[int] = 1

    def process(self, clip, place):
        CALLS.append(clip.name)
        (place.folder / "file").write_text(clip.name)
        if self.what == "keep":
            return [clip.but(video=place.called("file"))]
        raise {"drop": Dropped("a\nreason"), "bad": UserError("bad"), "net": TryAgain("net"), "bug": KeyError("k")}[
            self.what
        ]


@pytest.fixture
def store(tmp_path):
    CALLS.clear()
    return StageStore(tmp_path)


def test_a_result_is_stored_with_its_files_and_found_again(store):
    first = store.run(Trial(), CLIP)
    assert first.records[0].boxes == []  # as JSON has it, in the first run too
    assert first.kind == KEPT and (store.root / first.records[0].video).read_text() == "a"
    assert store.run(Trial(), CLIP) == store.stored(Trial(), CLIP) == first
    assert CALLS == ["a"] and set(store.computed().values()) == {1}


@pytest.mark.parametrize(
    "what, kind, reason, calls",
    [
        ("drop", DROPPED, "a\nreason", 1),
        ("bad", FAILED, "bad", 1),
        ("net", FAILED, "net", 2),
        ("bug", FAILED, "unexpected KeyError: 'k'", 2),
    ],
)
def test_reasons_are_kept_and_what_may_pass_is_tried_again(store, what, kind, reason, calls):
    for _ in range(2):
        outcome = store.run(Trial(what), CLIP)
        assert (outcome.kind, outcome.reason, outcome.records) == (kind, reason, ())
    assert len(CALLS) == calls


def test_a_reason_does_not_repeat_the_file(store, monkeypatch):
    def damaged(self, clip, place):
        raise UserError(f"{place.path(clip.video)}: damaged")

    monkeypatch.setattr(Trial, "process", damaged)
    assert store.run(Trial(), CLIP).reason == "damaged"


def test_a_missing_package_ends_the_run(store, monkeypatch):
    monkeypatch.setattr(Trial, "process", lambda *_: __import__("no_such_package_here"))
    with pytest.raises(ModuleNotFoundError):
        store.run(Trial(), CLIP)
    assert store.stored(Trial(), CLIP).kind == WAITING


def test_what_a_killed_run_left_counts_for_nothing(store):
    folder = store.folder(Trial(), CLIP)
    folder.mkdir(parents=True)
    (folder / "file").write_text("half")
    assert store.stored(Trial(), CLIP).kind == WAITING
    assert store.run(Trial(), CLIP).kind == KEPT


def test_a_walk_stops_where_nothing_is_stored(store):
    kept = store.run(Trial(), CLIP).records
    steps = list(walk(store, [Trial(), Trial("drop")], [CLIP]))
    assert [(step.clip, step.outcome.kind) for step in steps] == [(CLIP, KEPT), (kept[0], WAITING)]


def test_a_line_of_the_log_that_was_cut_off_is_left_out(store):
    store.run(Trial(), CLIP)
    (log,) = (store.root / "work" / "done").glob("*.jsonl")
    log.write_text(log.read_text() + '{"stage": "tr')
    assert sum(store.computed().values()) == 1
