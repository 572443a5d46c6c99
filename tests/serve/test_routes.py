"""What routes share: uploads that fail leave nothing, names are for people."""

import asyncio
from types import SimpleNamespace

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vp_jax.errors import UserError
from vp_jax.serve import routes
from vp_jax.serve.routes import receive, shown_name


def received(folder, chunks, limit=10):
    async def stream():
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    folder.mkdir()
    return asyncio.run(receive(SimpleNamespace(stream=stream), folder, "video", limit))


def test_an_upload_is_streamed_into_its_file(tmp_path):
    assert received(tmp_path / "a", [b"12345", b"67890"]) == 10
    assert (tmp_path / "a" / "video").read_bytes() == b"1234567890"


@pytest.mark.parametrize(
    "chunks, error, text",
    [
        ([b"12345", b"678901"], HTTPException, "at most 0 MB"),
        ([b"12345", ClientDisconnect()], HTTPException, "cut off"),
        ([], UserError, "empty"),
    ],
)
def test_an_upload_that_fails_leaves_nothing(tmp_path, chunks, error, text):
    with pytest.raises(error, match=text):
        received(tmp_path / "a", chunks)
    assert not (tmp_path / "a").exists()


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(routes.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(HTTPException, match="disk is full"):
        received(tmp_path / "a", [b"1"])
    assert not (tmp_path / "a").exists()


def test_names_are_shown_without_folders_and_control_characters():
    assert shown_name("/a/b\\c\x07.mp4") == "c.mp4" and shown_name("///") == "video"
