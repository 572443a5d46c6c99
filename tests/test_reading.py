"""Only regular files are opened; JSON is read within limits; whatever is wrong is one line."""

import os
import socket

import pytest

from vp_jax import reading
from vp_jax.errors import UserError


def refused(action, *args):
    with pytest.raises(UserError) as caught:
        action(*args)
    assert "\n" not in str(caught.value) and "written" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """Names in the place of a file that are none."""
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    os.mkfifo("pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle2")
    (tmp_path / "circle2").symlink_to("circle")
    (tmp_path / "to_pipe").symlink_to("pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    listener.close()
    return tmp_path


@pytest.mark.parametrize(
    "name, message",
    [
        ("pipe", "is a pipe: expected a regular file"),
        ("to_pipe", "is a pipe"),
        ("folder", "is a folder"),
        ("socket", "is a socket"),
        ("/dev/zero", "is a device"),
        ("circle", "cannot be read (Too many levels of symbolic links)"),
        ("absent", "no such file"),
        ("a\0b", "cannot be read"),
        ("x" * 300, "cannot be read (File name too long)"),
    ],
)
def test_what_is_no_regular_file_is_refused_without_waiting(odd, name, message):
    for action in (reading.check_regular, reading.read_bytes, reading.read_json):
        assert message in refused(action, odd / name)
    assert not reading.is_regular(odd / name)


def test_control_characters_of_names_are_shown_escaped(tmp_path):
    assert "\\x1b[31m" in refused(reading.check_regular, tmp_path / "\x1b[31mred")
    assert len(reading.show("y" * 5000)) < 300


def test_a_refusal_of_the_system_is_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("{}")

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(reading.Path, "open", denied)
    assert refused(reading.read_json, path) == f"{path} cannot be read (Permission denied)"


def test_sizes_of_a_folder_and_pipes_in_it(odd):
    (odd / "folder" / "deep").mkdir()
    (odd / "folder" / "deep" / "a").write_bytes(b"123")
    (odd / "folder" / "link").symlink_to(odd / "folder" / "deep" / "a")
    assert reading.check_tree(odd / "folder") == {"deep/a": 3, "link": 3}
    os.mkfifo(odd / "folder" / "deep" / "pipe")
    assert "folder/deep/pipe is a pipe" in refused(reading.check_tree, odd / "folder")


def test_files_larger_than_expected_are_not_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert reading.read_bytes(tmp_path / "a", 5) == b"12345"
    assert "is larger than" in refused(reading.read_bytes, tmp_path / "a", 4)


@pytest.mark.parametrize(
    "text, message",
    [
        (b"", "is not JSON"),
        (b'{"a": 1', "is not JSON"),
        (b"[1]", "but a list: expected the settings"),
        (b'"x"', "but a text"),
        (b"3", "but a number"),
        (b"null", "but null"),
        (b"true", "but true or false"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is given twice"),
        (b"\xff\xfe{", "is not JSON"),
        (b'{"a": ' * 100_000, "is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_json_of_another_kind_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_bytes(text)
    assert message in refused(reading.read_json, tmp_path / "a.json", "the settings")


def test_json_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.json").write_bytes('\ufeff{"ä": [1, {"b": null}]}'.encode())
    assert reading.read_json(tmp_path / "a.json") == {"ä": [1, {"b": None}]}
