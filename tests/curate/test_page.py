"""The page: complete without a network, text escaped, funnel, examples, histograms, masks."""

import re

import pytest

from tests.browser import chromium, watched
from vp_jax.curate.page import page_of, write_curation_page
from vp_jax.curate.speed import costs_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(done):
    return page_of(done, costs_of(done, 450_000, 0.04))


def test_the_page_asks_for_nothing_outside_of_it(page):
    assert "default-src 'none'" in page and "<script" not in page and " style=" not in page
    sources = re.findall(r'(?:src|href)="([^"]{0,22})', page)
    assert sources and all(source.startswith("data:image/jpeg;base64") for source in sources)


def test_every_stage_is_shown_with_its_counts_and_what_it_dropped(page, done):
    for count in done.funnel.counts:
        left = count.dropped + count.failed
        assert f"<b>{count.stage}</b>" in page and f"{count.came:,} in, {count.went:,} out, {left:,} left out" in page
    assert 'class="dropped"' in page and "near-duplicate of good_00.mp4" in page and "still picture" in page


def test_clips_are_shown_with_masks_captions_and_costs(page, done):
    assert page.count('alt="frames with masks"') == len(done.clips)
    assert "masked area" in page and page.count("<svg viewBox") == 6
    assert "Template caption" in page and "bottleneck: " in page and "no licence stated" in page


def test_names_and_captions_are_escaped(done):
    first = done.clips[0]
    evil = "<img src=x onerror=alert(1)>"
    clip = first.clip.but(name=evil, source=evil, licence=evil, captions={"": evil}, tags=[evil])
    page = page_of(done._replace(clips=[first._replace(clip=clip)]), costs_of(done, 10, 1.0))
    assert evil not in page and "&lt;img src=x" in page


def test_the_page_is_written_beside_the_journal(done):
    write_curation_page(done, costs_of(done, 10, 1.0))
    assert (done.root / "index.html").read_text().startswith("<!doctype html>")


def test_in_a_browser_the_page_fits_the_screen_and_stages_open(page, tmp_path):
    file = tmp_path / "index.html"
    file.write_text(page)
    with chromium() as browser:
        for width in (1280, 420):
            with watched(browser, width) as (view, asked, faults):
                view.goto(file.as_uri())
                assert view.evaluate("document.documentElement.scrollWidth") <= width
                view.locator("details.stage").first.locator("summary").click()
                assert view.locator("details.stage").first.locator("figure.dropped").first.is_visible()
                broken = "() => [...document.images].filter(image => image.checkVisibility() && !image.naturalWidth)"
                assert view.evaluate(f"({broken})().length") == 0
                assert faults == [] and all(url.startswith(("file:", "data:")) for url in asked)
