"""Serves a study on this machine and stores answers, with the standard library alone.

It gives out the page and the videos, never the key, and takes answers of this study from its own page only. A rater's
file is replaced by their next answers, all of it or nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.reading import show
from vp_jax.vpbench.study.answers import check_answers, study_key
from vp_jax.vpbench.study.built import ANSWER_FOLDER, PAGE_FILE, VIDEO_FOLDER

MOST_ANSWERS = 4 << 20
"""Of the answers of one rater."""
_VIDEO = re.compile(rf"/{VIDEO_FOLDER}/([0-9a-f]+\.mp4)")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class StudyServer(ThreadingHTTPServer):
    """A server of one study's folder.

    Args:
      folder: see `vp_jax.vpbench.study.built`.
      port: of localhost; 0: any that is free.

    Raises:
      UserError: no study in the folder, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.key = folder, study_key(folder)
        if not (folder / PAGE_FILE).is_file():
            raise UserError(f"{show(folder)} has no {PAGE_FILE}: expected the folder of `vp-jax study build`")
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}; choose another") from error

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_address[1]}/"


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[StudyServer]:
    """A server in a thread, for the time of the context."""
    server = StudyServer(folder, port)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if not self._own():
            return self._reply(HTTPStatus.FORBIDDEN, b"expected 127.0.0.1")
        if self.path in ("/", f"/{PAGE_FILE}"):
            return self._file(self.server.folder / PAGE_FILE, "text/html; charset=utf-8")
        if found := _VIDEO.fullmatch(self.path):
            return self._file(self.server.folder / VIDEO_FOLDER / found[1], "video/mp4")
        return self._reply(HTTPStatus.NOT_FOUND, b"not found")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MOST_ANSWERS:
            self.close_connection = True
            return self._reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"expected up to 4 MiB")
        body = self.rfile.read(int(length))
        is_json = self.headers.get_content_type() == "application/json"  # other sites' forms cannot send it
        if not self._own() or self.path != "/answers" or not is_json:
            return self._reply(HTTPStatus.FORBIDDEN, b"expected answers of the study's page")
        try:
            answers = check_answers(body, "answers", self.server.key)
        except UserError as error:
            return self._reply(HTTPStatus.BAD_REQUEST, str(error).encode())
        text = json.dumps(json.loads(body), indent=1) + "\n"
        write_text(self.server.folder / ANSWER_FOLDER / f"{answers.rater}.json", text)
        return self._reply(HTTPStatus.OK, b"stored")

    def _own(self) -> bool:
        """The request names this machine: no other site's name leads here."""
        return self.headers.get("Host", "").rpartition(":")[0] in ("127.0.0.1", "localhost")

    def _file(self, path: Path, kind: str) -> None:
        if not path.is_file():
            return self._reply(HTTPStatus.NOT_FOUND, b"not found")
        content = path.read_bytes()
        part = _RANGE.fullmatch(self.headers.get("Range", ""))
        if part is None or int(part[1]) >= len(content):
            return self._reply(HTTPStatus.OK, content, kind)
        first, last = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
        span = f"bytes {first}-{last}/{len(content)}"
        return self._reply(HTTPStatus.PARTIAL_CONTENT, content[first : last + 1], kind, span)

    def _reply(
        self, status: HTTPStatus, content: bytes, kind: str = "text/plain; charset=utf-8", span: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Content-Type-Options", "nosniff")
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not printed."""
