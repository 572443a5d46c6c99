"""The server of a study: the page, the videos, answers, and nothing else."""

import http.client
import json

import numpy as np
import pytest

from tests.vpbench.study.raters import answer, plan_of
from vp_jax.errors import UserError
from vp_jax.vpbench.study.server import StudyServer, serving

PLAN = plan_of(cases=2, raters=2, repeats=0)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "videos").mkdir()
    (folder / "key.json").write_text(json.dumps(PLAN.key()))
    (folder / "index.html").write_text("<title>page</title>")
    (folder / "videos" / "ab12.mp4").write_bytes(bytes(range(100)))
    with serving(folder) as found:
        yield found


def ask(server, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, body, dict(headers))
    reply = connection.getresponse()
    found = reply.status, reply.read(), dict(reply.getheaders())
    connection.close()
    return found


def test_the_page_and_the_videos_are_given_out(server):
    assert ask(server, "GET", "/")[:2] == (200, b"<title>page</title>")
    assert ask(server, "GET", "/videos/ab12.mp4")[1] == bytes(range(100))
    status, part, headers = ask(server, "GET", "/videos/ab12.mp4", headers={"Range": "bytes=10-19"})
    assert (status, part, headers["Content-Range"]) == (206, bytes(range(10, 20)), "bytes 10-19/100")
    assert ask(server, "GET", "/videos/ab12.mp4", headers={"Range": "bytes=90-"})[1] == bytes(range(90, 100))


@pytest.mark.parametrize(
    "path",
    ["/key.json", "/answers/1.json", "/videos/../key.json", "/videos/%2e%2e/key.json", "/videos/none.mp4", "//etc"],
)
def test_nothing_else_is(server, path):
    assert ask(server, "GET", path)[0] == 404


def test_answers_are_stored_and_replaced(server):
    values = answer(PLAN, 0, np.random.default_rng(0))
    for count in (1, 2):
        body = json.dumps({**values, "answers": values["answers"][:count]})
        assert ask(server, "POST", "/answers", body, JSON)[:2] == (200, b"stored")
    stored = json.loads((server.folder / "answers" / "1.json").read_text())
    assert stored == values


@pytest.mark.parametrize(
    "body, headers, status",
    [
        ("{}", JSON, 400),
        ("no json", JSON, 400),
        ("{}", {"Content-Type": "text/plain"}, 403),
        ("{}", {**JSON, "Host": "evil.example:80"}, 403),
        ("{}", {**JSON, "Content-Length": str(1 << 30)}, 413),
    ],
)
def test_other_answers_are_refused(server, body, headers, status):
    before = sorted((server.folder / "answers").glob("*")) if (server.folder / "answers").is_dir() else []
    assert ask(server, "POST", "/answers", body, headers)[0] == status
    after = sorted((server.folder / "answers").glob("*")) if (server.folder / "answers").is_dir() else []
    assert after == before


def test_a_rater_cannot_name_a_file_elsewhere(server):
    values = {**answer(PLAN, 0, np.random.default_rng(0)), "rater": "../../evil"}
    assert ask(server, "POST", "/answers", json.dumps(values), JSON)[0] == 400


def test_a_folder_without_a_study_and_a_port_in_use_are_one_line(server, tmp_path):
    with pytest.raises(UserError, match=r"has no key\.json"):
        StudyServer(tmp_path)
    port = server.server_address[1]
    with pytest.raises(UserError, match=f"port {port}: .*choose another"):
        StudyServer(server.folder, port)
    (tmp_path / "key.json").write_text(json.dumps(PLAN.key()))
    with pytest.raises(UserError, match=r"has no index\.html"):
        StudyServer(tmp_path)
