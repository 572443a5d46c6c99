"""CSV files: columns by name, rows judged one by one, other encodings and damage reported."""

import pytest

from vp_jax.data.sources.tables import read_table
from vp_jax.errors import UserError


def table(tmp_path, content: bytes):
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    return read_table(file)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["unix", "windows"])
def test_cells_by_column_name(tmp_path, start, end):
    found = table(tmp_path, start + end.join([b" a ,b", "1,Fläche".encode(), b"", b'2,"x, y"']) + end)
    assert found.header == ["a", "b"]
    assert [row.cells for row in found.rows] == [{"a": "1", "b": "Fläche"}, {"a": "2", "b": "x, y"}]
    assert [row.origin for row in found.rows] == ["t.csv:2", "t.csv:4"]


def test_short_rows_are_filled_and_long_ones_cut(tmp_path):
    found = table(tmp_path, b"a,b\n1\n1,2,3\n")
    assert [row.cells for row in found.rows] == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


def test_a_row_in_another_encoding_is_one_faulty_row(tmp_path):
    found = table(tmp_path, b"a,b\n1,x\n2,Fl\xe4che\n3,y\n")
    assert [row.fault for row in found.rows] == ["", "not UTF-8: save the table as UTF-8", ""]


@pytest.mark.parametrize(
    "content, message",
    [
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8 but UTF-16"),
        (b'a,b\n"' + b"x" * 200_000 + b'",1\n', "cannot be read as a CSV"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        table(tmp_path, content)


def test_missing_columns_are_named(tmp_path):
    found = table(tmp_path, b"a,b\n")
    found.require("b", "a")
    with pytest.raises(UserError, match="has no column c, d; it has a, b"):
        found.require("a", "c", "d")
    with pytest.raises(UserError, match="it has none"):
        table(tmp_path, b"").require("a")
