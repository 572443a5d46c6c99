"""Batches: records share the model's calls and nothing else; each is stored as soon as it is done, once."""

import pytest

from tests.curate.asking_stages import ASKED, LOADED, Tagging
from vp_jax.curate.batches import run_batch
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.store import DROPPED, FAILED, KEPT, WAITING, StageStore


def clips(*names):
    return [ClipRecord(name, f"{name}.mp4") for name in names]


@pytest.fixture
def store(tmp_path):
    ASKED.clear()
    LOADED.clear()
    return StageStore(tmp_path)


def run(store, given, stage=Tagging()):  # noqa: B008  frozen
    return run_batch(store, stage, given, stage.load)


def test_records_of_a_batch_ask_together(store):
    first, second = run(store, clips("a", "b"))
    assert ASKED == [["a", "b"], ["A", "B"]]
    assert first.records[0].tags == ["model a", "model A"] and second.records[0].tags == ["model b", "model B"]
    assert (store.root / second.records[0].video).read_text() == "b"


def test_a_batch_gives_what_its_records_give_alone(store, tmp_path):
    alone = StageStore(tmp_path / "alone")
    given = clips("a", "bad", "dull", "b")
    together = [outcome._replace(seconds=0) for outcome in run(store, given)]
    assert together == [alone.run(Tagging(), clip)._replace(seconds=0) for clip in given]


def test_a_bad_record_is_journaled_and_the_others_go_on(store):
    kinds = [(outcome.kind, outcome.reason) for outcome in run(store, clips("bad", "a", "dull", "b"))]
    assert kinds == [(FAILED, "damaged"), (KEPT, ""), (DROPPED, "nothing but model DULL"), (KEPT, "")]
    assert ASKED == [["a", "dull", "b"], ["A", "DULL", "B"]]


def test_a_batch_that_fails_is_asked_one_by_one_and_only_the_record_at_fault_fails(store):
    first, hard, last = run(store, clips("a", "hard", "b"))
    assert (first.kind, last.kind) == (KEPT, KEPT)
    assert hard.kind == FAILED and hard.reason == "unexpected ValueError: out of memory" and hard.again
    assert ASKED == [["a", "hard", "b"], ["a"], ["hard"], ["b"], ["A", "B"]]


def test_stored_results_are_not_computed_again_and_load_no_model(store):
    run(store, clips("a", "dull"))
    run(store, clips("a", "b"))
    assert ASKED[2:] == [["b"], ["B"]]
    LOADED.clear()
    assert [outcome.kind for outcome in run(store, clips("a", "b", "dull"))] == [KEPT, KEPT, DROPPED]
    assert len(ASKED) == 4 and LOADED == [] and set(store.computed().values()) == {1}


def test_a_record_twice_in_a_batch_is_computed_once(store):
    first, second = run(store, clips("a", "a"))
    assert first == second and ASKED[0] == ["a"]


def test_a_record_that_is_done_is_stored_while_others_wait(store, monkeypatch):
    def killed(self, model, questions):
        if "B" in questions:
            raise KeyboardInterrupt
        return [*questions]

    monkeypatch.setattr(Tagging, "answers", killed)
    with pytest.raises(KeyboardInterrupt):
        run(store, clips("bad", "a", "b"))
    kinds = [store.stored(Tagging(), clip).kind for clip in clips("bad", "a", "b")]
    assert kinds == [FAILED, WAITING, WAITING] and len(store.computed()) == 1
    assert not list(store.root.rglob("file")), "nothing half done is left"


def test_a_model_that_cannot_be_loaded_fails_all_that_ask_until_the_next_run(store):
    outcomes = run(store, clips("bad", "a", "b"), Tagging(loads=False))
    assert [outcome.reason for outcome in outcomes] == ["damaged", "no weights", "no weights"]
    assert [outcome.again for outcome in outcomes] == [False, True, True]


def test_a_missing_package_ends_the_run(store, monkeypatch):
    monkeypatch.setattr(Tagging, "load", lambda self: __import__("no_such_package_here"))
    with pytest.raises(ModuleNotFoundError):
        run(store, clips("a", "b"))
