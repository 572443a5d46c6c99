"""Opening files: pipes, loops and odd names are one line, text is UTF-8 or refused."""

import os
from pathlib import Path

import pytest

from vp_jax.errors import UserError
from vp_jax.media import inputs


def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def loop(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return tmp_path / "loop"


def broken_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    return tmp_path / "link"


BAD = [
    (pipe, "is a pipe"),
    (loop, "cannot be read"),
    (broken_link, "no such file"),
    (lambda tmp_path: tmp_path, "is a folder"),
    (lambda tmp_path: tmp_path / "none", "no such file"),
    (lambda tmp_path: tmp_path / "a\0b", "cannot be read"),
    (lambda tmp_path: tmp_path / ("x" * 400), "cannot be read"),
    (lambda tmp_path: Path("/dev/null"), "is a device"),
]


@pytest.mark.parametrize("make, message", BAD, ids=[message for _, message in BAD])
def test_what_is_no_regular_file_is_one_line(tmp_path, make, message):
    with pytest.raises(UserError, match=message) as caught:
        inputs.open_regular(make(tmp_path))
    assert str(caught.value).isprintable()


def test_regular_files_and_links_to_them_open_without_a_name(tmp_path):
    (tmp_path / "a:b%d").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a:b%d")
    for name in ("a:b%d", "link"):
        with inputs.open_regular(tmp_path / name) as file:
            assert file.read() == b"x" and not isinstance(file.name, str)


@pytest.mark.parametrize(
    "content, text",
    [(b"a caf\xc3\xa9", "a café"), (b"\xef\xbb\xbfa", "a"), (b"a\r\nb\rc\n", "a\nb\nc\n"), (b"", "")],
)
def test_text(tmp_path, content, text):
    (tmp_path / "t.txt").write_bytes(content)
    assert inputs.read_text(tmp_path / "t.txt") == text


@pytest.mark.parametrize(
    "content, message",
    [(b"caf\xe9", "not UTF-8 .*; save it as UTF-8"), ("café".encode("utf-16"), "UTF-16"), (b"x" * 100, "larger than")],
)
def test_text_that_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(inputs, "MOST_TEXT", 50)
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        inputs.read_text(tmp_path / "t.txt")


def test_numbers_in_names_are_ordered_by_value():
    names = ["a10.png", "a9.png", "a1.png", "b.png", "a.png", "a²3.png", "10.png", "9.png"]
    ordered = [file.name for file in sorted(map(Path, names), key=inputs.natural_order)]
    assert ordered == ["9.png", "10.png", "a1.png", "a9.png", "a10.png", "a.png", "a²3.png", "b.png"]


def test_folders_are_told_from_files(tmp_path):
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "a").mkdir()
    assert inputs.is_folder(tmp_path) and not inputs.is_folder(tmp_path / "b")
    assert [path.name for path in inputs.list_folder(tmp_path)] == ["a", "b"]
    for function in (inputs.is_folder, inputs.list_folder):
        with pytest.raises(UserError, match="no such file"):
            function(tmp_path / "none")
