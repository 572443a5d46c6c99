"""The system's Chromium for tests of pages; a machine without it fails with one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of Playwright."""
    if not CHROMIUM.exists():
        raise AssertionError(f"{CHROMIUM} is missing: install Chromium to run the tests of pages")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Any, width: int) -> Iterator[tuple[Any, list[str], list[str]]]:
    """A new page of this width, the addresses it asks for, and what it complains about."""
    view = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    asked: list[str] = []
    faults: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: faults.append(message.text))
    view.on("pageerror", lambda error: faults.append(str(error)))
    yield view, asked, faults
    view.close()
