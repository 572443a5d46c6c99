"""``vp-jax bench``: the drawn-world benchmark from one command, other programs' results, tables, the page."""

import csv

import pytest

from tests import clip_files
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.vpbench.benchmarks import open_benchmark

WORLD = ["--benchmark", "world", "--clips", "1", "--groups", "fill,remove", "--size", "32x48"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two baselines: its folder."""
    out = tmp_path_factory.mktemp("bench") / "run"
    assert run(["bench", "run", *WORLD, "--methods", "mean,telea", "--scores", "psnr_hole,mae", "--out", str(out)]) == 0
    return out


def test_one_command_writes_rows_tables_and_page(finished):
    written = {path.name for path in finished.iterdir()}
    assert {"bench.json", "rows", "results", "table.csv", "table.md", "table.tex", "table.json", "page.html"} <= written
    lines = list(csv.DictReader((finished / "table.csv").read_text().splitlines()))
    assert {(line["method"], line["score"]) for line in lines} == {
        (m, s) for m in ("mean", "telea") for s in ("psnr_hole", "mae")
    }


def test_shards_are_merged_by_table(finished, tmp_path, capsys):
    flags = ["--methods", "mean,telea", "--scores", "psnr_hole,mae"]
    parts = [tmp_path / "a", tmp_path / "b"]
    for number, part in enumerate(parts):
        run(["bench", "run", *WORLD, *flags, "--shard", f"{number}/2", "--out", str(part)])
        assert not (part / "table.csv").exists(), "a part has no table of its own"
    run(["bench", "table", *map(str, parts), "--out", str(tmp_path / "both")])
    for name in ("table.csv", "rows.csv", "table.md"):
        assert (tmp_path / "both" / name).read_text() == (finished / name).read_text()
    assert "wrote" in capsys.readouterr().out


def test_results_of_other_programs_are_scored_into_the_same_tables(finished, tmp_path, capsys):
    for clip in open_benchmark("world", clips=1, groups=("fill",), size=(32, 48)).clips:
        clip_files.folder(tmp_path / clip.file, clip.open().frames_FHWC)
    flags = ["--method", "ProPainter", "--results", str(tmp_path), "--scores", "psnr_hole,mae", "--out", str(finished)]
    assert run(["bench", "score", *WORLD, *flags]) == 1, "a clip has no result"
    printed = capsys.readouterr().out
    assert "has no result of remove-000" in printed and "1 failed" in printed
    run(["bench", "table", str(finished), "--base", "mean", "--scores", "psnr_hole", "--out", str(tmp_path / "t")])
    text = (tmp_path / "t" / "table.md").read_text()
    assert "| ProPainter | **100.00 [100.00, 100.00]** |" in text and "## 1 failures" in text


def test_inputs_for_other_programs_are_written(tmp_path, capsys):
    assert run(["bench", "inputs", *WORLD, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "fill-000: written\nremove-000: written\n"
    assert (tmp_path / "prompts.csv").is_file() and (tmp_path / "masks" / "remove-000" / "00016.png").is_file()


def test_results_listed_in_a_table_need_no_folder(tmp_path):
    clip_files.folder(tmp_path / "a", clip_files.moving(3, 32, 48))
    clip_files.folder(tmp_path / "m", clip_files.moving(3, 32, 48)[..., 0] // 128 * 255)
    (tmp_path / "t.csv").write_text("source,mask,result\na,m,a\n")
    table = ["--benchmark", "table", "--data", str(tmp_path / "t.csv")]
    assert run(["bench", "score", *table, "--method", "x", "--scores", "psnr", "--out", str(tmp_path / "run")]) == 0
    run(["bench", "page", str(tmp_path / "run")])
    assert "100.00" in (tmp_path / "run" / "page.html").read_text()


@pytest.mark.slow
def test_the_sampler_is_a_method_that_keeps_the_background(tmp_path):
    flags = ["--groups", "fill", "--clips", "1", "--methods", "backbone", "--steps", "1", "--truth_first", "--no_page"]
    assert run(["bench", "run", *flags, "--scores", "psnr_hole,psnr_outside", "--out", str(tmp_path)]) == 0
    run(["bench", "table", str(tmp_path)])
    (row,) = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    assert row["method"] == "backbone" and float(row["psnr_outside"]) == 100 > float(row["psnr_hole"])


@pytest.mark.parametrize(
    "argv, message",
    [
        (["run", "--out", "x", "--seeds", "a"], "--seeds a: expected numbers with commas"),
        (["run", "--out", "x", "--shard", "2/2"], "--shard 2/2: expected I/N"),
        (["run", "--out", "x", "--size", "big"], "--size big: expected HxW"),
        (["run", "--out", "x", "--methods", "magic"], "methods magic: expected among mean"),
        (["run", "--out", "x", "--scores", "beauty", "--methods", "mean"], "score 'beauty': expected one of"),
        (["run", "--out", "x", "--benchmark", "davis", "--methods", "mean"], "benchmark davis needs `data`"),
        (["score", "--out", "x", "--method", "m"], "bench score needs --results"),
        (["score", "--out", "x", "--method", "m", "--results", "/nowhere"], "--results /nowhere: no such folder"),
        (["table", "/nowhere"], r"has no bench\.json"),
        (["page", "/nowhere"], r"has no bench\.json"),
    ],
)
def test_mistakes_are_one_line(argv, message):
    with pytest.raises(UserError, match=message):
        run(["bench", *argv])
