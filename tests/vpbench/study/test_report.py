"""What a study found."""

import json

import numpy as np
import pytest

from tests.vpbench.study.raters import STRENGTHS, plan_of, write_raters
from vp_jax.vpbench.study.answers import read_answers
from vp_jax.vpbench.study.report import report_markdown, study_report, write_report


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_raters(folder, plan_of(), careless=(2, 5))
    return folder


def test_simulated_preferences_are_recovered_within_intervals(study):
    report = study_report(study, read_answers(study))
    for question, found in report.questions.items():
        assert found.answers == 10 * 20, "repeats and careless raters do not count"
        for method, truth in STRENGTHS.items():
            _, low, high = found.methods[method].strength
            assert low <= truth <= high, question
        assert found.methods["ours"].share[1] > found.methods["telea"].share[2] > 0
        chances = np.exp([*STRENGTHS.values()]) / np.exp([*STRENGTHS.values()]).sum()
        assert abs(found.agreement - np.square(chances).sum()) < 0.1, "raters pick apart from each other"
        assert abs(found.alpha) < 0.1, "and no case makes them agree more than chance does"


def test_raters_who_contradict_themselves_are_left_out_and_named(study):
    report = study_report(study, read_answers(study))
    assert report.left_out == {"3": 0.0, "6": 0.0} and len(report.raters) == 10
    assert set(report.consistency) == {str(k) for k in range(1, 13)}
    assert "answered differently: 3 (0 %), 6 (0 %)" in report_markdown(report)
    assert len(study_report(study, read_answers(study), least=0).raters) == 12


def test_the_files_hold_the_report(study):
    files = write_report(study, study_report(study, read_answers(study)))
    found = json.loads(files[0].read_text())
    assert set(found["questions"]) == {"background", "text", "quality"}
    assert found["questions"]["text"]["methods"]["ours"]["share"][0] > 0.5
    text = files[1].read_text()
    assert text.index("| ours |") < text.index("| telea |") < text.index("| mean |") and "paper" not in text


def test_the_papers_votes_stand_below_when_its_methods_were_compared(tmp_path, monkeypatch):
    names = ("ProPainter", "VideoPainter", "ours")
    monkeypatch.setitem(STRENGTHS, "ProPainter", -1.0)
    monkeypatch.setitem(STRENGTHS, "VideoPainter", 1.0)
    write_raters(tmp_path / "s", plan_of(cases=4, raters=2, repeats=0, methods=names))
    text = report_markdown(study_report(tmp_path / "s", read_answers(tmp_path / "s")))
    assert "The paper, table 4" in text and "| VideoPainter | 74.2 | 82.5 | 87.4 |" in text and "table 6" not in text
