"""Rows of a run: stored, read again, merged."""

import dataclasses
import math

import pytest

from tests.vpbench.small_bench import row, small_world
from vp_jax.errors import UserError
from vp_jax.vpbench.rows import BenchStore, RowKey, check_method_name, merged_rows


@pytest.fixture
def store(tmp_path):
    found = BenchStore(tmp_path / "run")
    found.describe(small_world(), ["psnr"])
    return found


def test_a_row_comes_back_as_it_was(store):
    given = dataclasses.replace(row("a/b", "mean", 3, psnr=20.5), values={"psnr": 20.5, "none": math.nan, "fvd": [1.0]})
    store.add(given)
    found = store.row(given.key)
    assert found.json() == given.json() and math.isnan(found.values["none"]) and found.values["fvd"] == [1.0]
    assert store.row(RowKey("a_b", "mean", 3)) is None, "another clip whose file name is near"
    assert [r.clip for r in store.rows()] == ["a/b"]


def test_a_damaged_row_is_named(store):
    store.add(row("a", "mean", psnr=1.0))
    path = store.row_file(RowKey("a", "mean", 0))
    path.write_text('{"clip": "a"}')
    with pytest.raises(UserError, match="is no row of a benchmark: delete it"):
        store.row(RowKey("a", "mean", 0))


def test_another_benchmark_is_refused_and_new_scores_are_added(store, tmp_path):
    store.describe(small_world(), ["ssim", "psnr"], tmp_path)
    assert store.description()["scores"] == ["psnr", "ssim"] and store.description()["data"] == str(tmp_path)
    with pytest.raises(UserError, match="holds another benchmark, or other clips of it"):
        store.describe(small_world(("fill",)), ["psnr"])


def test_a_folder_without_a_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"has no bench\.json: expected the folder of `vp-jax bench run`"):
        merged_rows([BenchStore(tmp_path)])


def test_merging_is_a_union_and_merging_twice_changes_nothing(store, tmp_path):
    other = BenchStore(tmp_path / "other")
    other.describe(small_world(), ["psnr"])
    store.add(row("a", "mean", psnr=1.0))
    store.add(row("b", "mean", error="no such file"))
    other.add(row("b", "mean", psnr=2.0))
    other.add(row("a", "mean", psnr=1.0))
    merged = merged_rows([store, other])
    assert [(r.clip, r.state) for r in merged] == [("a", "scored"), ("b", "scored")]
    assert merged == merged_rows([other, store, store]) == merged_rows([store, other, other])


def test_runs_that_contradict_each_other_are_not_merged(store, tmp_path):
    other = BenchStore(tmp_path / "other")
    other.describe(small_world(), ["psnr"])
    store.add(row("a", "mean", psnr=1.0))
    other.add(row("a", "mean", psnr=2.0))
    with pytest.raises(UserError, match="mean, seed 0, a has other values than in a folder before it"):
        merged_rows([store, other])
    third = BenchStore(tmp_path / "third")
    third.describe(small_world(("fill",)), ["psnr"])
    with pytest.raises(UserError, match="holds another benchmark than the folders before it"):
        merged_rows([store, third])


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "x" * 80])
def test_names_of_methods_are_names_of_folders(name):
    with pytest.raises(UserError, match="expected letters, digits"):
        check_method_name(name)
    assert check_method_name("Cog-Inp_2.0") == "Cog-Inp_2.0"
