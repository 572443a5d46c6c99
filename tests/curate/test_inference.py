"""RunInference: full batches, one model in a process, and the same records as without it."""

import threading

import pytest

from tests.curate.asking_stages import ASKED, LOADED, Tagging
from vp_jax.curate.engine import run_stages
from vp_jax.curate.inference import StageModelHandler, WorkerModel, batches_of
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.store import FAILED, KEPT, StageStore

CLIPS = [ClipRecord(name, f"{name}.mp4") for name in ("a", "bad", "b", "c", "d", "e")]


@pytest.fixture(autouse=True)
def forgotten():
    ASKED.clear()
    LOADED.clear()


def test_a_worker_loads_a_model_once_and_gets_full_batches(tmp_path):
    run_stages([Tagging()], CLIPS, tmp_path, batch=3)
    assert LOADED == ["tagging"]
    assert [sorted(asked) for asked in ASKED] == [["a", "b"], ["A", "B"], ["c", "d", "e"], ["C", "D", "E"]]
    kinds = [StageStore(tmp_path).stored(Tagging(), clip).kind for clip in CLIPS]
    assert kinds == [KEPT, FAILED, KEPT, KEPT, KEPT, KEPT]
    run_stages([Tagging()], CLIPS, tmp_path, batch=2)
    assert len(ASKED) == 4 and LOADED == ["tagging"], "what is done reaches no model"


def test_the_last_records_of_a_stage_reach_the_next_one(tmp_path):
    run_stages([Tagging(), Tagging(together=False)], CLIPS, tmp_path, batch=4)
    store = StageStore(tmp_path)
    later = [record for clip in CLIPS for record in store.stored(Tagging(), clip).records]
    assert len(later) == 5
    assert {store.stored(Tagging(together=False), record).kind for record in later} == {KEPT}


def test_a_model_that_takes_one_record_at_a_time_gets_no_batches(tmp_path):
    assert StageModelHandler(Tagging(together=False), str(tmp_path), 8).size == 1
    kwargs = StageModelHandler(Tagging(), str(tmp_path), 8).batch_elements_kwargs()
    assert kwargs == {"min_batch_size": 8, "max_batch_size": 8}


@pytest.mark.slow
def test_dask_gives_full_batches_and_the_last_one_too(tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        options = ["--runner=DaskRunner", f"--dask_client_address={cluster.scheduler_address}"]
        run_stages([Tagging(), Tagging(together=False)], CLIPS, tmp_path, options, batch=4)
    asked = sorted(len(names) for names in ASKED if names[0].islower() and not names[0].startswith("model"))
    store = StageStore(tmp_path)
    later = [record for clip in CLIPS for record in store.stored(Tagging(), clip).records]
    assert len(later) == 5 and {store.stored(Tagging(together=False), record).kind for record in later} == {KEPT}
    assert asked == [1, 1, 1, 1, 1, 2, 3], "3 of the first 4 records ask, then the last 2, and later each alone"


def test_threads_of_a_worker_share_its_model():
    model, found = WorkerModel(Tagging()), []
    threads = [threading.Thread(target=lambda: found.append(model())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["model"] * 4 and LOADED == ["tagging"]


def test_batches_are_full_but_for_the_last():
    assert list(batches_of("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(batches_of("", 2)) == []
