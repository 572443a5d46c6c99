"""``vp-jax study``: from results of a benchmark to a report."""

import json

import numpy as np
import pytest

from tests.vpbench.small_bench import small_run
from tests.vpbench.study.raters import STRENGTHS, answer
from vp_jax.cli import study as command
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.vpbench.methods import BaselineMethod
from vp_jax.vpbench.study import design


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    found = small_run(tmp_path_factory.mktemp("bench"), methods=[BaselineMethod("mean"), BaselineMethod("telea")])
    assert all(not done.row.error for done in found.rows())
    return found.store.folder


def test_a_study_is_built_answered_and_reported(bench, tmp_path, capsys, monkeypatch):
    plans = []
    plan = design.study_plan
    monkeypatch.setattr(design, "study_plan", lambda *args: plans.append(plan(*args)) or plans[0])
    size = ["--cases", "2", "--raters", "3", "--repeats", "1"]
    run(["study", "build", str(bench), *size, "--out", str(tmp_path / "study")])
    assert "2 cases, 2 methods, 3 raters" in capsys.readouterr().out
    with pytest.raises(UserError, match="has no answers yet"):
        run(["study", "report", str(tmp_path / "study")])
    files = []
    for rater in range(3):
        files.append(tmp_path / f"answers_{rater}.json")
        files[-1].write_text(json.dumps(answer(plans[0], rater, np.random.default_rng(rater))))
    run(["study", "report", str(tmp_path / "study"), *map(str, files)])
    printed = capsys.readouterr().out
    assert "3 raters count" in printed and "## quality" in printed and set(plans[0].methods) < set(STRENGTHS) | {"mean"}
    assert (tmp_path / "study" / "report.json").is_file()


def test_the_papers_design_needs_as_many_cases(bench, tmp_path):
    with pytest.raises(UserError, match="cases 50: only 2 clips have results of all methods"):
        run(["study", "build", str(bench), "--out", str(tmp_path)])


def test_serving_prints_the_address_and_ends_with_ctrl_c(bench, tmp_path, capsys, monkeypatch):
    size = ["--cases", "1", "--raters", "1", "--repeats", "0", "--methods", "mean,telea"]
    run(["study", "build", str(bench), *size, "--out", str(tmp_path / "s")])

    def interrupted(self, *args):
        raise KeyboardInterrupt

    monkeypatch.setattr("vp_jax.vpbench.study.server.StudyServer.serve_forever", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["study", "serve", str(tmp_path / "s"), "--port", "0"])
    assert "serving  http://127.0.0.1:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, message",
    [
        (["serve", "/nowhere"], r"has no key\.json"),
        (["report", "/nowhere"], r"has no key\.json"),
        (["build", "/nowhere", "--out", "x"], r"has no bench\.json"),
    ],
)
def test_mistakes_are_one_line(argv, message):
    with pytest.raises(UserError, match=message):
        run(["study", *argv])


def test_an_unknown_method_is_named_with_those_that_have_results(bench, tmp_path):
    with pytest.raises(UserError, match="--methods magic: no results of it, expected among mean, telea"):
        run(["study", "build", str(bench), "--methods", "mean,magic", "--out", str(tmp_path)])
    assert command.PRESET_NAMES
