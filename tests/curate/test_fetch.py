"""Loading addresses: retried, continued, and faults that will not pass are named at once."""

import http.server
import threading

import pytest

from vp_jax.curate import fetch as loading
from vp_jax.curate.fetch import FetchRules, fetch
from vp_jax.curate.store import TryAgain
from vp_jax.errors import UserError

DATA = bytes(range(256)) * 40
RULES = FetchRules(tries=3, wait=0.01, per_second=1000, timeout=5)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `DATA` as the path asks; requests are noted."""

    def do_GET(self):
        self.server.seen.append(self.headers.get("Range"))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if self.path == "/missing" or (self.path == "/busy" and len(self.server.seen) < 3):
            self.send_error(404 if self.path == "/missing" else 503)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        broken = self.path == "/broken" and len(self.server.seen) == 1
        self.wfile.write(DATA[start : 3000 if broken else None])

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(server, path):
    return f"http://127.0.0.1:{server.server_port}{path}"


@pytest.mark.parametrize(
    "path, requests", [("/whole", [None]), ("/busy", [None] * 3), ("/broken", [None, "bytes=3000-"])]
)
def test_a_file_is_complete_at_last(server, tmp_path, path, requests):
    fetch(address(server, path), tmp_path / "file", RULES)
    assert (tmp_path / "file").read_bytes() == DATA and server.seen == requests


def test_what_an_earlier_run_loaded_is_continued(server, tmp_path):
    (tmp_path / "file").write_bytes(DATA[:5000])
    fetch(address(server, "/whole"), tmp_path / "file", RULES)
    assert (tmp_path / "file").read_bytes() == DATA and server.seen == ["bytes=5000-"]


def test_a_missing_file_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(UserError, match="the server answers HTTP 404"):
        fetch(address(server, "/missing"), tmp_path / "file", RULES)
    assert len(server.seen) == 1


def test_a_server_that_is_gone_is_tried_again_in_the_next_run(server, tmp_path):
    gone = address(server, "/whole")
    server.shutdown()
    server.server_close()
    with pytest.raises(TryAgain, match="not loaded after 3 tries"):
        fetch(gone, tmp_path / "file", RULES)


def test_too_large_a_file_is_refused(server, tmp_path):
    with pytest.raises(UserError, match="larger than 100 bytes"):
        fetch(address(server, "/whole"), tmp_path / "file", FetchRules(most_bytes=100, per_second=1000))


def test_a_host_is_not_asked_faster_than_allowed(monkeypatch):
    slept, now = [], [0.0]
    monkeypatch.setattr(loading.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(loading.time, "sleep", slept.append)
    monkeypatch.setattr(loading, "_last", {})
    for _ in range(3):
        loading._wait_for("host", 2.0)
    assert slept == [0.0, 0.5, 1.0]
