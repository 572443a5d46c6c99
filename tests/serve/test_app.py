"""The application: the page, one line for every error, health, sessions; and its OpenAPI against a fuzzer."""

import contextlib
import re
import threading
import time

import pytest
import schemathesis
import uvicorn
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serve.drawn import GONE, JOB, finished_job
from vp_jax.serve.app import create_app
from vp_jax.serve.desk import ServerOptions
from vp_jax.serve.guard import COOKIE

JSON = {"content-type": "application/json"}
TOKEN = "a token of some length"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A client of a server with a token, which no worker serves."""
    app = create_app(ServerOptions(tmp_path_factory.mktemp("guarded"), token=TOKEN))
    return TestClient(app, base_url="http://films.example.org")


def test_the_page_and_its_files_are_served_and_nothing_else(served):
    client = served[0]
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html") and "Change a thing in a video" in page.text
    names = set(re.findall(r'/page/([\w.]+)"', page.text))
    for name in list(names):
        names |= set(re.findall(r'from "\./([\w.]+)"', client.get(f"/page/{name}").text))
    assert {"page.js", "page.css", "icon.svg", "stage.js", "video.js", "job.js"} <= names
    assert {name: client.get(f"/page/{name}").status_code for name in names} == dict.fromkeys(names, 200)
    for name in ("..%2fapp.py", "%2e%2e%2fapp.py", "app.py", "nothing.js", "%00"):
        assert client.get(f"/page/{name}").status_code == 404


def test_the_page_asks_no_other_server(served):
    client = served[0]
    for name in ("", "page/page.js", "page/video.js", "page/job.js", "page/api.js", "page/page.css"):
        assert set(re.findall(r"https?://[\w.]+", client.get(f"/{name}").text)) == set()


def test_every_error_is_one_line(served):
    client, video, *_ = served
    cases = [
        (client.get("/api/nothing"), 404, "Not Found"),
        (client.put("/healthz"), 405, "Method Not Allowed"),
        (client.get(f"/api/videos/{GONE}"), 404, "there is no video of this id"),
        (client.get("/api/videos/..%2f..%2fetc"), 404, "Not Found"),
        (client.post("/api/jobs", content=b"{", headers=JSON), 422, "JSON decode error"),
        (client.post("/api/jobs", json={"video": video, "seed": "7"}), 422, "seed: Input should be a valid integer"),
        (client.post("/api/jobs", json={"video": video}), 422, "no mask: mark a thing first"),
        (client.post("/api/masks", json={"video": video}), 422, "nothing is marked"),
    ]
    for answer, status, text in cases:
        assert answer.status_code == status and list(answer.json()) == ["error"], answer.text
        assert text in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_health_names_the_model(served):
    found = served[0].get("/healthz").json()
    assert (found["status"], found["model"], found["max_upload"], found["words"]) == ("ok", "nano", 1 << 20, True)
    assert "tiny model" in found["note"]


def test_metrics_are_text_for_prometheus(served):
    answer = served[0].get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert re.search(
        r'^vp_jax_requests_total\{method="POST",route="/api/videos",status="201"\} \d+$', answer.text, re.M
    )


def test_a_session_is_a_cookie_that_scripts_do_not_see(guarded):
    assert guarded.get("/api/state").status_code == 401
    assert guarded.post("/api/session", json={"token": "wrong"}).status_code == 401
    answer = guarded.post("/api/session", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204 and cookie.startswith(COOKIE) and TOKEN not in cookie
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert guarded.get("/api/state").status_code == 200  # the client keeps the cookie


@pytest.fixture(scope="module")
def live(tmp_path_factory, film):
    """The address of a server behind a real socket, with a finished job."""
    folder = tmp_path_factory.mktemp("live")
    finished_job(folder, film)
    app = create_app(ServerOptions(folder, max_upload=1 << 20))
    config = uvicorn.Config(app, loop="asyncio", port=0, log_level="warning")  # as vp-jax serve
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
def test_the_api_does_what_its_schema_says(live, mode):
    """Schemathesis sends requests of every kind, valid and not; every answer has to be one that the schema names."""
    schema = schemathesis.openapi.from_url(f"{live}/openapi.json").exclude(path="/api/events")
    operations = [found.ok() for found in schema.get_all_operations()]
    quick = settings(
        max_examples=5, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    for operation in operations:

        @seed(1)
        @quick
        @given(case=operation.as_strategy(generation_mode=mode), known=booleans())
        def check(case, known):
            excluded = [positive_data_acceptance] if case.path == "/api/plans" else []
            if known and mode is GenerationMode.POSITIVE and "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = JOB
                excluded = [positive_data_acceptance]  # a state may refuse what the schema allows
            case.call_and_validate(excluded_checks=excluded)

        with contextlib.suppress(Unsatisfiable):  # a request without any part cannot be wrong
            check()
    assert len(operations) > 25
