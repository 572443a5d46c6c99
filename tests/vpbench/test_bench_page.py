"""The page of a benchmark."""

import json
import math
import re

import pytest

from tests.browser import chromium, watched
from tests.vpbench.small_bench import describe, row
from vp_jax.vpbench import bench_page
from vp_jax.vpbench.bench_page import page_text, write_page
from vp_jax.vpbench.clips import BenchClip
from vp_jax.vpbench.reopened import reopened, result_places
from vp_jax.vpbench.results_table import group_tables
from vp_jax.vpbench.rows import merged_rows

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    """The page of the small run, one of whose rows is said to have failed."""
    rows, description = merged_rows([finished]), finished.description()
    rows[0] = row(rows[0].clip, "mean", error=f"no result {EVIL}", group=rows[0].group)
    benchmark = reopened(description)
    places = result_places([finished], benchmark, rows)
    path = tmp_path_factory.mktemp("page") / "page.html"
    return write_page(path, benchmark, rows, group_tables(rows, description), places)


DRAWN = """() => {
  const canvas = document.querySelector('article:not([hidden]) canvas');
  const video = canvas.closest('article').querySelector('video');
  return video.readyState >= 2 && video.videoWidth > 0 && canvas.width === 240;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 420])
def test_in_a_browser_clips_are_sorted_worst_first_by_any_score_and_fit_the_screen(page, width):
    with chromium() as browser, watched(browser, width) as (view, asked, faults):
        view.goto(page.as_uri())
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        view.select_option(".by-method", "telea")
        worst = titles(view)
        view.select_option(".by-order", "best")
        assert titles(view) == worst[::-1] and len(worst) == 2
        view.select_option(".by-method", "mean")
        view.select_option(".by-order", "worst")
        assert titles(view)[0] == "fill-000", "the one that failed"
        view.select_option(".by-group", "remove")
        assert view.locator("article:visible").count() == 1
        view.locator("article:visible canvas").first.scroll_into_view_if_needed()
        view.wait_for_function(DRAWN)
        view.locator("button[data-sort=psnr_hole]").first.click()
        cells = view.locator("table.scores").first.locator("tbody tr td:nth-child(3)")
        values = [float(cell.get_attribute("data-value")) for cell in cells.all()]
        assert values == sorted(values, reverse=True)
        assert faults == [] and all(url.startswith(("file:", "data:")) for url in asked)


def titles(view):
    return [text.split()[0] for text in view.locator("article h3").all_inner_texts()]


def test_failures_are_shown_and_text_is_escaped(page):
    text = page.read_text()
    assert "<h2>1 failures</h2>" in text and EVIL not in text and "&lt;script&gt;alert(1)" in text
    assert "default-src 'none'" in text and "://" not in text.split("<script")[0]


def test_the_data_names_every_clip_with_its_values(page):
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text())[1])
    assert data["better"]["psnr_hole"] == "higher" and data["score"] == "psnr_hole"
    assert [set(case["values"]) for case in data["cases"]] == [{"mean", "telea"}] * 2
    assert all(
        not math.isnan(v) for case in data["cases"] for values in case["values"].values() for v in values.values()
    )


def test_large_videos_lie_beside_the_page(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_page, "PAGE_MEGABYTES", 0)
    rows, description = merged_rows([finished]), finished.description()
    benchmark = reopened(description)
    places = result_places([finished], benchmark, rows)
    path = write_page(tmp_path / "page.html", benchmark, rows, group_tables(rows, description), places, most=1)
    (video,) = (tmp_path / bench_page.VIDEOS).iterdir()
    assert f'src="./{bench_page.VIDEOS}/{video.name}"' in path.read_text()


def test_prompts_and_names_of_people_are_escaped():
    rows = [row(EVIL, "mean", psnr=1.0)]
    clip = BenchClip(EVIL, lambda: None, EVIL, group=EVIL)
    case = bench_page.PageCase(clip, 0, {"mean": rows[0]}, None, None, [], [], EVIL)
    text = page_text(EVIL, [case], rows, group_tables(rows, describe(*rows)), {})
    assert EVIL not in text and text.count("&lt;script&gt;") >= 4
