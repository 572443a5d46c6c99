"""A run of a benchmark: it goes on after a kill, records what is bad, and parts make the whole."""

import dataclasses
import os
import subprocess
import sys

import pytest

from tests.layout import ROOT
from tests.vpbench.small_bench import small_run, small_world, white_clip
from vp_jax.errors import UserError
from vp_jax.vpbench.benchmarks import Benchmark
from vp_jax.vpbench.clips import BenchClip
from vp_jax.vpbench.methods import BaselineMethod, FolderMethod
from vp_jax.vpbench.results_table import group_tables
from vp_jax.vpbench.rows import BenchStore, merged_rows
from vp_jax.vpbench.written_tables import TABLE_FILES, write_tables


def tables_of(*stores: BenchStore) -> dict[str, str]:
    """Everything that is written about the rows of some folders."""
    rows, description = merged_rows(stores), stores[0].description()
    folder = stores[0].folder / "tables"
    write_tables(folder, group_tables(rows, description), rows, description)
    return {name: (folder / name).read_text() for name in TABLE_FILES}


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize("moment", ["before the result", "after the result", "before the row"])
@pytest.mark.parametrize("number", range(4))
def test_killed_at_any_clip_it_goes_on_with_identical_tables(finished, tmp_path, monkeypatch, moment, number):
    run, calls = small_run(tmp_path), []
    write, add = BaselineMethod.result, BenchStore.add

    def dying_result(self, *args, **options):
        calls.append(self)
        if len(calls) == number + 1 and moment == "before the result":
            raise Killed
        return write(self, *args, **options)

    def dying_add(self, row):
        wanted = "made" if moment == "after the result" else "scored"
        if len(calls) == number + 1 and row.state == wanted:
            raise Killed
        add(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(BaselineMethod, "result", dying_result)
        patch.setattr(BenchStore, "add", dying_add)
        with pytest.raises(Killed):
            list(run.rows())
    done = list(run.rows())
    assert sum(found.kept for found in done) == number, "finished rows are not made again"
    assert tables_of(run.store) == tables_of(finished)


def test_a_finished_run_is_not_repeated(finished):
    assert all(done.kept for done in small_run(finished.folder).rows())


def test_other_scores_are_computed_without_making_results_again(tmp_path, monkeypatch):
    list(small_run(tmp_path, small_world(("fill",))).rows())
    monkeypatch.setattr(BaselineMethod, "result", lambda *_, **__: pytest.fail("made again"))
    again = list(small_run(tmp_path, small_world(("fill",)), paste=True).rows())
    assert [(done.kept, done.row.error) for done in again] == [(False, ""), (False, "")]


def test_two_shards_equal_one_run_in_one_folder_and_in_two(finished, tmp_path):
    one, two = small_run(tmp_path / "one"), small_run(tmp_path / "two")
    assert len([*one.rows((0, 2))]) == len([*two.rows((1, 2))]) == 2
    assert tables_of(one.store, two.store) == tables_of(finished) == tables_of(two.store, one.store, two.store)
    assert len([*one.rows((1, 2))]) == 2
    assert tables_of(one.store) == tables_of(finished)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_rows_that_the_next_one_uses(finished, tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from tests.vpbench.small_bench import small_run\n"
        "for done in small_run(Path(sys.argv[1])).rows():\n"
        "    if done.number == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, env=env, check=False)
    assert ended.returncode == -9
    run = small_run(tmp_path)
    assert [done.kept for done in run.rows()] == [True, True, False, False]
    assert tables_of(run.store) == tables_of(finished)


def test_bad_clips_and_results_are_recorded_and_the_rest_goes_on(tmp_path):
    def broken():
        raise ValueError("no\nframes")

    clips = [BenchClip("bad", white_clip, fault="mask is empty"), BenchClip("broken", broken), white_clip("good")]
    methods = [BaselineMethod("mean"), FolderMethod("other", tmp_path)]
    run = small_run(tmp_path / "run", Benchmark("world", clips, settings={"benchmark": "world"}), methods)
    errors = [done.row.error for done in run.rows()]
    assert errors[:2] == ["bad: mask is empty", f"{tmp_path} has no result of bad: expected bad.mp4 or a folder"]
    assert errors[2] == "unexpected ValueError: no\\nframes" and errors[4] == "" and "no result of good" in errors[5]
    assert [done.kept for done in run.rows()] == [False] * 4 + [True, False], "failed rows are tried again"


def test_methods_without_seeds_have_one_row(tmp_path):
    rows = [done.row for done in small_run(tmp_path, small_world(("fill",)), seeds=[3, 4]).rows()]
    assert [(row.method, row.seed) for row in rows] == [("mean", 3), ("telea", 3)]


def test_another_benchmark_in_the_folder_is_refused(finished):
    with pytest.raises(UserError, match="holds another benchmark"):
        next(small_run(finished.folder, small_world(("swap",))).rows())


def test_a_method_goes_on_behind_what_the_same_settings_left_and_begins_anew_otherwise(tmp_path, monkeypatch):
    seen = []

    def dying(self, *args, fresh):
        seen.append(fresh)
        raise Killed

    monkeypatch.setattr(BaselineMethod, "result", dying)
    for prompt in ("a wall", "a wall", "a door"):
        clip = dataclasses.replace(white_clip("a"), prompt=prompt)
        run = small_run(tmp_path, Benchmark("world", [clip]), [BaselineMethod("mean")])
        monkeypatch.setattr(BenchStore, "describe", lambda *_: None)
        with pytest.raises(Killed):
            list(run.rows())
    assert seen == [True, False, True]
