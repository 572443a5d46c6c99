"""The system's Chromium for tests of pages; a machine without it fails with one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[object]:
    """A browser of Playwright."""
    if not CHROMIUM.exists():
        raise AssertionError(f"{CHROMIUM} is missing: install Chromium to run the tests of pages")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
