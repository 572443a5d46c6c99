"""The page of a job in Chromium, on a desk and on a phone: it works, it fits, and it asks nobody for anything."""

import numpy as np
import pytest

from tests import clip_files
from tests.browser import chromium
from tests.jobs.test_record import SECONDS, job
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.request import make_request
from vp_jax.inference.result import Result
from vp_jax.inference.settings import Settings
from vp_jax.jobs.record import Checked, draw_pictures, place_pictures, record_of, write_record

HEIGHT, WIDTH = 180, 320
WINDOWS = {0: {"host": 10**9}, 1: {"host": 11 * 10**8}, 2: {"host": 10**9}}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """The page of a result of 13 frames and three windows."""
    folder = tmp_path_factory.mktemp("page")
    holes = np.zeros((13, HEIGHT, WIDTH), bool)
    for number in range(13):
        holes[number, 40:90, 20 + 9 * number : 80 + 9 * number] = True
    frames = clip_files.moving(13, HEIGHT, WIDTH)
    request = make_request(Video(frames), Mask(holes), Settings(window=5, overlap=1), (48, 64), {})
    result = Result(request, clip_files.moving(13, 48, 64)[..., ::-1])
    made = job(folder)
    drawn = draw_pictures(made, result, folder, iter(range(13)))
    place_pictures(made, drawn)
    more = {"window_seconds": {0: 2.0, 1: 1.0, 2: 1.5}, "window_memory": WINDOWS}
    write_record(
        made, made, record_of(made, result, SECONDS, drawn=drawn, checked=Checked(), cache=None, **more), drawn
    )
    return made.report


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("width, height", [(1280, 800), (420, 800)])
def test_the_page_plays_compares_and_fits(browser, page_file, width, height):
    page = browser.new_page(viewport={"width": width, "height": height})
    requests, faults = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.goto(page_file.as_uri())
    page.wait_for_function("document.querySelector('.player video').readyState >= 2", timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    stage = page.locator(".stage").bounding_box()
    assert stage["width"] >= 0.6 * width and abs(stage["width"] / stage["height"] - WIDTH / HEIGHT) < 0.1
    shown = "(() => { const c = document.querySelector('.stage canvas'); const p = c.getContext('2d')"
    shown += ".getImageData(0, 0, c.width, c.height).data; let sum = 0; for (const v of p) sum += v; return sum; })()"
    sums = []
    for share in ("1", "0.5", "0"):
        page.click(f'[data-split="{share}"]')
        sums.append(page.evaluate(shown))
    assert len(set(sums)) == 3, "source, both and result look alike"
    before = page.inner_text(".at")
    page.click(".on1")
    assert before != page.inner_text(".at") and " of 0–12" in before
    titles = page.locator("figcaption").all_inner_texts()
    for title in ("Jump of each seam", "Time of each window", "Memory behind each window"):
        assert any(title in text for text in titles), title
    overflow = "[...document.querySelectorAll('button, select, figcaption, li')].filter(e => e.offsetParent && "
    overflow += "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent)"
    assert page.evaluate(overflow) == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == [] and faults == []
    page.close()
