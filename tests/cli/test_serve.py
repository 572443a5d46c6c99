"""The command `vp-jax serve`: its address, its mistakes, and the extra it needs."""

import argparse
import contextlib
import socket
import types

import pytest
import uvicorn

from tests.cli.test_main import program
from vp_jax.cli import serve
from vp_jax.cli.main import parser_of, run
from vp_jax.errors import UserError


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What the server was started with, and in which folder."""
    seen = types.SimpleNamespace()

    class Server:
        def __init__(self, config):
            seen.app = config.app

        def run(self, sockets):
            seen.port = sockets[0].getsockname()[1]

    monkeypatch.setattr(uvicorn, "Server", Server)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("VP_JAX_TOKEN", raising=False)
    return seen


def options(seen):
    return seen.app.state.desk.options


def test_one_command_starts_it_with_nano_for_this_machine(started, capsys, tmp_path):
    run(["serve", "--port", "0"])
    found = options(started)
    assert (found.checkpoint, found.token, found.max_upload) == ("nano", None, 2 << 30)
    assert found.folder == tmp_path / "vp_jax" / "serve" and (found.folder / "lock").is_file()
    assert capsys.readouterr().out.splitlines()[0] == f"open http://127.0.0.1:{started.port}/"


def test_for_others_there_is_a_token(started, capsys, tmp_path, monkeypatch):
    run(["serve", "--host", "0.0.0.0", "--port", "0", "--folder", str(tmp_path / "a")])
    token = options(started).token
    assert len(token) >= 24 and capsys.readouterr().out.splitlines()[0].endswith(f"/#token={token}")
    monkeypatch.setenv("VP_JAX_TOKEN", "from the environment")
    run(["serve", "--port", "0", "--folder", str(tmp_path / "a"), "--max_upload", "1"])
    assert (options(started).token, options(started).max_upload) == ("from the environment", 1 << 20)


@pytest.mark.parametrize(
    "flags, text",
    [
        (["--checkpoint", "no/such"], "--checkpoint no/such: no such folder"),
        (["--port", "70000"], "--port 70000: expected 0 to 65535"),
        (["--token", "short"], "--token: expected at least 8 characters"),
        (["--max_upload", "0"], "--max_upload 0: expected 1 MB or more"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid"),
        (["--backend", "magic"], "backend 'magic': expected one of grabcut"),
    ],
)
def test_mistakes_are_one_line(started, flags, text, tmp_path):
    with pytest.raises(UserError) as error:
        run(["serve", "--port", "0", "--folder", str(tmp_path / "a"), *flags])
    assert text in str(error.value)


def test_a_port_in_use_and_a_folder_of_others_are_refused(started, tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(UserError, match=f"--port {port}: .*in use"):
            run(["serve", "--port", port, "--folder", str(tmp_path / "a")])
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(UserError, match="holds files that no server wrote"):
        run(["serve", "--port", "0", "--folder", str(tmp_path)])


def test_two_servers_do_not_share_a_folder(started, tmp_path):
    from vp_jax.files import locked

    (tmp_path / "a").mkdir()
    with locked(tmp_path / "a" / "lock", ""), pytest.raises(UserError, match="another server uses"):
        run(["serve", "--port", "0", "--folder", str(tmp_path / "a")])


def test_the_extra_is_named_where_it_is_missing():
    for package in ("fastapi", "uvicorn"):
        status, _, lines, _ = program(["serve"], absent=[package])
        assert (status, lines) == (2, [f"error: {package} is not installed: pip install 'vp_jax[serve]'"])


def test_the_address_of_every_kind_of_host():
    assert serve._address("127.0.0.1", 8000, None) == "open http://127.0.0.1:8000/"
    assert serve._address("::1", 8000, "t") == "open http://[::1]:8000/#token=t"
    assert serve._address("0.0.0.0", 80, "t") == f"open http://{socket.gethostname()}:80/#token=t"


def test_every_flag_has_a_default():
    args = parser_of("serve").parse_args([])
    assert isinstance(args, argparse.Namespace) and (args.host, args.port) == ("127.0.0.1", 8000)
