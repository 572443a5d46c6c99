"""The product as a person meets it: `vp-jax serve`, a browser, a server that is killed, many clients at once."""

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser import chromium
from tests.children import CACHE, devices
from vp_jax.jobs import packaged
from vp_jax.media.video import read_video
from vp_jax.media.video_writer import write_video
from vp_jax.serve.tasks import write_example

pytestmark = pytest.mark.slow
WAIT = 400_000
"""Milliseconds that a page may take to show something on a busy machine."""


class Server:
    """``vp-jax serve`` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vp_jax", "serve", "--port", "0", "--folder", folder],
            stdout=subprocess.PIPE,
            text=True,
            env=devices(**CACHE),
        )
        self.address = self.process.stdout.readline().split()[1]

    def call(self, method, path, body=None):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(self.address + path.lstrip("/"), data, {"content-type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers.get_content_type() == "application/json" else content

    def until(self, path, ready):
        for _ in range(8000):
            found = self.call("GET", path)
            if ready(found):
                return found
            assert found["state"] not in ("failed", "cancelled"), found
            time.sleep(0.05)
        raise AssertionError(found)

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


@contextlib.contextmanager
def serving(folder):
    server = Server(folder)
    try:
        yield server
    finally:
        if server.process.returncode is None:
            server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A clip of the world that the packaged model knows."""
    path = tmp_path_factory.mktemp("film") / "my film.mkv"
    write_example(path)
    return path


def seen_in(tmp_path: Path, frame: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the packaged clip's masked thing in a frame."""
    packaged.write_clip(tmp_path / "clip.mkv", tmp_path / "mask.mkv")
    rows, columns = np.nonzero(read_video(tmp_path / "mask.mkv")[0][frame, ..., 0])
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@contextlib.contextmanager
def browser(address, width, height, **options):
    with chromium() as found:
        page = found.new_context(viewport={"width": width, "height": height}, **options).new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.goto(address)
        expect.set_options(timeout=60_000)
        yield page
        assert faults == []


def at(page, x, y):
    """A pixel of the 96 x 64 film on the screen."""
    box = page.locator("#stage canvas").bounding_box()
    return box["x"] + box["width"] * x / 96, box["y"] + box["height"] * y / 64


def drag(page, start, end):
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=3)
    page.mouse.up()


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_way_from_a_video_to_a_result_in_a_browser(folder, film, tmp_path):
    with serving(folder) as server:
        with browser(server.address, 1280, 860, accept_downloads=True) as page:
            page.locator("#file").set_input_files(film)
            expect(page.locator("#title")).to_have_text("my film.mkv")
            expect(page.locator("#facts")).to_contain_text("17 frames, 96×64", timeout=WAIT)
            expect(page.locator("#run")).to_be_disabled()

            left, top, right, bottom = seen_in(tmp_path, 0)
            drag(page, (left - 4, top - 3), (right + 4, bottom + 3))
            expect(page.locator("#mask_said")).to_contain_text("The mask covers", timeout=WAIT)
            page.locator("#stage").focus()
            for _ in range(8):
                page.keyboard.press("ArrowRight")
            expect(page.locator("#at")).to_have_text("frame 9 of 17")
            left, top, right, bottom = seen_in(tmp_path, 8)
            page.mouse.click(*at(page, (left + right) / 2, (top + bottom) / 2))
            expect(page.locator("#marks")).to_contain_text("part of it, frame 9")
            expect(page.locator("#mask_said")).to_contain_text("The mask covers", timeout=WAIT)

            page.fill("#prompt", "a red circle over brown dots")
            page.click("summary:has-text('More settings')")
            page.fill("#steps", "4")
            expect(page.locator("#estimate dl")).to_contain_text("1 window of 4 steps", timeout=WAIT)
            expect(page.locator("#estimate dl")).to_contain_text("MB")
            page.click("#run")
            expect(page.locator("#job_title")).to_have_text("At work", timeout=WAIT)
            expect(page.locator("#windows button")).to_have_count(1, timeout=WAIT)
            expect(page.locator("#job_title")).to_have_text("Finished", timeout=WAIT)

            page.wait_for_timeout(300)
            both = page.locator("#stage").screenshot()
            drag(page, (48, 60), (95, 60))
            assert page.locator("#stage").screenshot() != both
            page.fill("#redo_seed", "7")
            page.click("#redo_form button")
            expect(page.locator("#job_title")).to_have_text("Window 1 anew", timeout=WAIT)
            expect(page.locator("#job_title")).to_have_text("Finished", timeout=WAIT)
            with page.expect_download() as download:
                page.click("#download")
            assert download.value.suggested_filename == "my film_result.mp4"
            download.value.save_as(tmp_path / "result.mp4")
        assert read_video(tmp_path / "result.mp4")[0].shape == (17, 64, 96, 3)
        (job,) = server.call("GET", "/api/state")["jobs"]
        assert (job["state"], job["version"]) == ("done", 2)

        with browser(server.address, 420, 860, has_touch=True, color_scheme="dark") as page:
            expect(page.locator("#videos li")).to_have_count(1)
            assert fits(page)
            for path in (f"#/job/{job['id']}", f"#/video/{job['request']['video']}"):
                page.goto(server.address + path)
                expect(page.locator("#work")).to_be_visible()
                assert fits(page)
    assert server.process.returncode in (0, 130)


def test_a_killed_server_goes_on_with_its_queue_and_loses_nothing(folder):
    with serving(folder) as server:
        (before,) = server.call("GET", "/api/state")["jobs"]
        request = {**before["request"], "steps": 8, "format": "mkv"}
        jobs = [server.call("POST", "/api/jobs", request)["id"] for _ in range(2)]
        server.until(f"/api/jobs/{jobs[0]}", lambda job: job["done"] >= 2)
        server.kill()

    with serving(folder) as server:
        states = server.call("GET", "/api/state")["jobs"]
        assert [job["id"] for job in states] == [before["id"], *jobs] and states[0] == before
        results = []
        for job in jobs:
            server.until(f"/api/jobs/{job}", lambda job: job["state"] == "done")
            results.append(server.call("GET", f"/api/jobs/{job}/files/result"))
        assert results[0] == results[1]  # the job that was interrupted, and one that was not
        record = server.call("GET", f"/api/jobs/{jobs[0]}/files/record")
        assert record["settings"]["steps"] == 8


def test_twenty_clients_at_once_are_served(folder, film, tmp_path):
    frames_FHWC, rate = read_video(film, stop=4)
    write_video(tmp_path / "short.mkv", frames_FHWC, rate)
    left, top, right, bottom = seen_in(tmp_path, 0)
    box = {"x": left - 4, "y": top - 3, "width": right - left + 8, "height": bottom - top + 6}
    with serving(folder) as server:
        content = (tmp_path / "short.mkv").read_bytes()

        def client(number):
            video = server.call("POST", f"/api/videos?name={number}.mkv", content)["id"]
            server.until(f"/api/videos/{video}", lambda state: state["state"] == "ready")
            mask = server.call("POST", "/api/masks", {"video": video, "boxes": [box]})["id"]
            found = server.until(f"/api/masks/{mask}", lambda state: state["state"] == "ready")
            picture = server.call("GET", f"/api/videos/{video}/frames/3")
            return round(found["share"], 6), len(picture)

        with ThreadPoolExecutor(20) as pool:
            waiting = [pool.submit(client, number) for number in range(20)]
            longest = 0.0
            while not all(future.done() for future in waiting):
                begin = time.perf_counter()
                assert server.call("GET", "/healthz")["status"] == "ok"
                longest = max(longest, time.perf_counter() - begin)
                time.sleep(0.2)
        assert len({future.result() for future in waiting}) == 1
        assert longest < 5
        assert server.call("GET", "/metrics").decode().count('vp_jax_requests_total{method="POST"') >= 2
