"""Who may speak to the server: names of hosts, other sites, tokens, sizes."""

import pytest
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from vp_jax.serve.guard import COOKIE, MOST_BODY, Guard, is_loopback, session_of

TOKEN = "a secret of enough characters"


def client(token=None, base="http://localhost:8000"):
    async def app(scope, receive, send):
        await PlainTextResponse("fine")(scope, receive, send)

    return TestClient(Guard(app, token=token, most_upload=4 * MOST_BODY), base_url=base)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:8000", "[::1]:8000", "[::1]", "::1", "LocalHost"]
)
def test_names_of_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.org", "localhost.example.org", "127.0.0.1.example.org", "0.0.0.0", "[::2]", "10.0.0.1"]
)
def test_other_names_are_refused_without_a_token(host):
    assert not is_loopback(host)
    answer = client().get("/api/state", headers={"host": host})
    assert answer.status_code == 403 and "localhost only" in answer.json()["error"]


def test_a_page_of_another_site_is_refused():
    for headers in (
        {"origin": "http://example.org"},
        {"origin": "null"},
        {"origin": "http://localhost:9000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        for token in (None, TOKEN):
            answer = client(token).post("/api/jobs", headers={"authorization": f"Bearer {TOKEN}", **headers})
            assert answer.status_code == 403, headers
    own = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
    assert client().post("/api/jobs", headers=own).text == "fine"


def test_a_link_from_another_site_opens_the_page_and_nothing_else():
    headers = {"sec-fetch-site": "cross-site"}
    assert client().get("/", headers=headers).status_code == 200
    assert client().get("/api/jobs/x/files/result", headers=headers).status_code == 403


def test_a_token_opens_by_header_or_cookie():
    far = client(TOKEN, "http://films.example.org")
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"cookie": f"{COOKIE}=wrong"}):
        answer = far.get("/api/state", headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    for headers in ({"authorization": f"Bearer {TOKEN}"}, {"cookie": f"a=b; {COOKIE}={session_of(TOKEN)}"}):
        assert far.get("/api/state", headers=headers).text == "fine"
    assert far.get("/metrics").status_code == 401 and far.get("/openapi.json").status_code == 401
    assert far.get("/").status_code == far.get("/page/page.js").status_code == far.get("/healthz").status_code == 200
    assert TOKEN not in session_of(TOKEN)


def test_a_request_that_is_too_large_is_refused_before_it_is_read():
    for path, most in (("/api/jobs", MOST_BODY), ("/api/videos", 4 * MOST_BODY), ("/api/masks/upload", 4 * MOST_BODY)):
        for size, status in ((most, 200), (most + 1, 413), (-1, 413)):
            assert client().post(path, headers={"content-length": str(size)}).status_code == status, (path, size)


def test_a_request_that_hides_its_size_is_refused_unless_it_is_an_upload():
    def parts():
        yield b"{}"

    for path, status in (("/api/jobs", 411), ("/api/session", 411), ("/api/videos", 200), ("/api/masks/upload", 200)):
        assert client().post(path, content=parts()).status_code == status, path


def test_every_answer_has_the_headers_of_a_closed_page():
    headers = client().get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
