"""A study from a run of a benchmark: its files, and its page clicked through in a browser."""

import json

import pytest

from tests.browser import chromium, watched
from vp_jax.errors import UserError
from vp_jax.media.video import probe
from vp_jax.vpbench.reopened import reopened, result_places
from vp_jax.vpbench.rows import merged_rows
from vp_jax.vpbench.study.answers import read_answers
from vp_jax.vpbench.study.built import complete_clips, study_page, write_study
from vp_jax.vpbench.study.design import QUESTIONS, StudySize, study_plan
from vp_jax.vpbench.study.report import study_report
from vp_jax.vpbench.study.server import serving

METHODS = ["mean", "telea"]

INSIDE = """sets => sets.map(set => {
  const box = set.getBoundingClientRect(), text = set.querySelector("legend").getBoundingClientRect();
  return box.top < text.top && text.bottom < box.bottom && box.left < text.left && text.right < box.right;
})"""
"""Whether the question of each fieldset lies within its border."""


@pytest.fixture(scope="module")
def built(finished, tmp_path_factory):
    """Folder and plan of a study of the small run: two cases, two raters, one repeat."""
    folder = tmp_path_factory.mktemp("built")
    benchmark = reopened(finished.description())
    places = result_places([finished], benchmark, merged_rows([finished]))
    plan = study_plan(complete_clips(benchmark, places, METHODS, 0), METHODS, StudySize(2, 2, 1))
    write_study(folder, plan, benchmark, places)
    return folder, plan


def test_every_case_and_option_has_a_video_under_its_token(built):
    folder, plan = built
    tokens = {*plan.cases, *(token for options in plan.options.values() for token in options)}
    assert {path.stem for path in (folder / "videos").iterdir()} == tokens
    assert {probe(path).frames for path in (folder / "videos").iterdir()} == {17}
    page = (folder / "index.html").read_text()
    assert not any(name in page for name in (*METHODS, *plan.cases.values()))
    assert json.loads((folder / "key.json").read_text()) == plan.key()


def click_through(view, pick):
    """Answer every trial as ``pick`` says; returns the trials, as they were seen."""
    seen = []
    while view.locator(".trial").is_visible():
        assert view.evaluate("document.documentElement.scrollWidth") <= view.viewport_size["width"]
        view.wait_for_function(
            "() => [...document.querySelectorAll('.trial video')].every(v => v.readyState >= 2 && v.videoWidth)"
        )
        assert view.eval_on_selector_all("fieldset", INSIDE) == [True] * len(QUESTIONS)
        tokens = [
            src.rsplit("/")[-1][:-4] for src in view.eval_on_selector_all(".options video", "v => v.map(x => x.src)")
        ]
        assert view.locator(".next").is_disabled()
        for question in QUESTIONS:
            view.locator(f"input[name={question}]").nth(pick(tokens, question)).check()
        seen.append(tokens)
        view.locator(".next").click()
    return seen


@pytest.mark.slow
def test_raters_click_through_the_served_page_and_the_report_has_their_picks(built):
    folder, plan = built
    methods = {token: method for options in plan.options.values() for token, method in options.items()}
    best = lambda tokens, question: [methods[token] for token in tokens].index("telea")  # noqa: E731
    with serving(folder) as server, chromium() as browser:
        for rater, width in ((1, 1280), (2, 420)):
            with watched(browser, width) as (view, asked, faults):
                view.goto(server.address)
                view.fill(".rater", str(rater))
                view.click(".start button")
                assert view.evaluate("document.documentElement.scrollWidth") <= width
                seen = click_through(view, best)
                assert seen == [list(trial.shown) for trial in plan.orders[rater - 1]]
                view.get_by_text("Your answers were stored.").wait_for()
                assert [text for text in faults if "404" not in text] == [], "a browser asks for an icon"
                assert all(url.startswith(server.address) for url in asked)
    report = study_report(folder, read_answers(folder))
    assert report.raters == ["1", "2"] and report.consistency == {"1": 1.0, "2": 1.0}
    assert all(found.methods["telea"].share[0] == 1 and found.agreement == 1 for found in report.questions.values())


@pytest.mark.slow
def test_from_the_disk_answers_are_saved_to_a_file_and_a_reload_continues(built, tmp_path):
    folder, plan = built
    with chromium() as browser:
        view = browser.new_page()
        view.goto((folder / "index.html").as_uri())
        view.fill(".rater", "2")
        view.click(".start button")
        for question in QUESTIONS:
            view.locator(f"input[name={question}]").first.check()
        view.locator(".next").click()
        view.reload()
        view.fill(".rater", "2")
        view.click(".start button")
        assert view.locator(".at").inner_text() == "2 of 3"
        click_through(view, lambda tokens, question: 0)
        with view.expect_download() as download:
            view.click(".save")
        download.value.save_as(tmp_path / "answers_2.json")
    values = json.loads((tmp_path / "answers_2.json").read_text())
    assert values["rater"] == "2" and [a["case"] for a in values["answers"]] == [t.case for t in plan.orders[1]]


def test_a_study_with_answers_is_not_overwritten(built, tmp_path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "1.json").write_text("{}")
    with pytest.raises(UserError, match="holds answers of raters"):
        write_study(tmp_path, built[1], None, {})


def test_prompts_cannot_leave_their_place(built):
    _, plan = built
    text = study_page(plan, {case: "</script><b>" for case in plan.cases})
    assert text.count("</script>") == 2 and "connect-src 'self'" in text


def test_clips_without_a_result_of_every_method_are_not_shown(finished):
    benchmark = reopened(finished.description())
    places = result_places([finished], benchmark, merged_rows([finished]))
    del places["remove-000", "mean", 0]
    assert complete_clips(benchmark, places, METHODS, 0) == ["fill-000"]
