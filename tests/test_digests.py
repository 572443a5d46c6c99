"""``digests.json`` of a folder: files are compared with what was written, and the file itself is not trusted."""

import json

import pytest

from vp_jax import digests
from vp_jax.digests import Damaged, Digests, check_file, record_files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(200)))
    (tmp_path / "b.txt").write_text("text")
    record_files(tmp_path)
    return tmp_path


def test_files_as_they_were_written(folder):
    known = digests.read_digests(folder)
    assert known is not None and set(known.files) == {"a.bin", "b.txt"}
    check_file(folder / "a.bin")
    check_file(folder / "b.txt")
    check_file(folder / "not recorded")


def test_every_flip_and_cut_is_noticed(folder):
    data = (folder / "a.bin").read_bytes()
    for damaged in (data[:-1], b"", data + b"x", bytes([data[0] ^ 1]) + data[1:], data[:-1] + bytes([data[-1] ^ 128])):
        (folder / "a.bin").write_bytes(damaged)
        with pytest.raises(Damaged, match=r"a\.bin is not what was written: .* delete digests\.json"):
            check_file(folder / "a.bin")


def test_files_are_recorded_one_by_one(folder):
    (folder / "b.txt").write_text("other")
    (folder / "c.txt").write_text("new")
    record_files(folder, ["c.txt"])
    check_file(folder / "c.txt")
    with pytest.raises(Damaged, match=r"b\.txt"):
        check_file(folder / "b.txt")


def test_a_folder_without_digests_is_read_unverified(tmp_path):
    (tmp_path / "a").write_text("x")
    assert digests.read_digests(tmp_path) is None
    check_file(tmp_path / "a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "arrays": {}, "files": {}, "sizes": {}}',
        '{"format": 1, "arrays": {}, "files": {"a.bin": 3}, "sizes": {}}',
        '{"format": 1, "arrays": {}, "files": {}, "sizes": {"a": "b"}}',
        '{"format": 1, "arrays": {}, "files": {}}',
        '{"format": 1, "arrays": {}, "filfs": {}, "files": {}, "sizes": {}}',
    ],
)
def test_damaged_digests_are_not_mistaken_for_none(folder, text):
    (folder / "digests.json").write_text(text)
    with pytest.raises(Damaged, match=r"digests\.json .*: copy the folder again, or delete this file") as caught:
        check_file(folder / "a.bin")
    assert "\n" not in str(caught.value)


def test_digests_of_json_do_not_depend_on_its_layout():
    values = {"b": (1, 2), "a": {"1": None}}
    assert digests.of_json(values) == digests.of_json(json.loads(json.dumps(values, indent=3)))
    assert digests.of_json(values) != digests.of_json({"b": [1, 3], "a": {"1": None}})


def test_line_ends_of_json_files_do_not_matter(tmp_path):
    (tmp_path / "a.json").write_text('{\n "x": 1\n}\n')
    record_files(tmp_path)
    (tmp_path / "a.json").write_bytes(b'{\r\n "x": 1\r\n}\r\n')
    check_file(tmp_path / "a.json")
    for other in ('{"x": 2}', '{"x": 1', ""):
        (tmp_path / "a.json").write_text(other)
        with pytest.raises(Damaged):
            check_file(tmp_path / "a.json")


def test_a_round_trip_of_the_tables(tmp_path):
    tables = Digests({"x/y": "float32[2] 0123"}, {"a": "b"}, {"d/1": 7})
    digests.write_digests(tmp_path, tables)
    assert digests.read_digests(tmp_path) == tables
    assert list(digests.wrong_sizes(tables.sizes, {"d/1": 7, "more": 1})) == []
    assert list(digests.wrong_sizes(tables.sizes, {"d/1": 6})) == ["d/1 has 6 bytes, expected 7"]
    assert list(digests.wrong_sizes(tables.sizes, {})) == ["d/1 has no bytes, expected 7"]


def test_weights_are_known_by_their_digests_or_by_their_files(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "a").write_text("1")
    found = {digests.weights_digest([]), digests.weights_digest([folder])}
    (folder / "a").write_text("12")
    found.add(digests.weights_digest([folder]))
    (folder / "digests.json").write_text('{"arrays": {}}')
    found.add(digests.weights_digest([folder]))
    (folder / "a").write_text("123")  # what carries digests is known by them
    assert len(found) == 4 and digests.weights_digest([folder]) in found
