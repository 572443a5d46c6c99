"""One word for one thing: names defined once, and shape suffixes of the dimension key (`python -m tests.names`)."""

import ast
import re

import pytest

from tests import names
from tests.layout import ROOT, package_files, relative
from vp_jax.shapes import DIMENSIONS


def test_no_public_name_is_defined_in_two_files():
    assert names.duplicates() == {}, "python -m tests.names"


def test_every_exception_has_a_use():
    defined = {name for path in package_files() for name in names._defined(ast.parse(path.read_text()))}
    assert set(names.ALLOWED) <= defined


def test_every_letter_of_a_suffix_stands_in_the_dimension_key():
    assert len(names.arrays()) > 300
    assert names.unknown_letters() == []


def test_every_letter_of_the_dimension_key_is_used():
    assert set(DIMENSIONS) - {letter for array in names.arrays() for letter in array.suffix} == set()


def test_the_text_embedding_has_one_suffix():
    assert names.text_embeddings() == {"ME"}
    assert [array for array in names.arrays() if array.suffix.endswith("MD")] == []


@pytest.mark.parametrize(
    "line, suffixes",
    [
        ("def f(x_BSD, mask_B11M, _hints_GBSD): pass", ["B11M", "BSD", "GBSD"]),
        ("for at_F, text in pairs: self.text_BME = text", ["BME", "F"]),
        ("UPPER_BS = max_len = x1 = snake_case = 1", []),
    ],
)
def test_suffixes_are_found_on_parameters_and_assigned_names(tmp_path, monkeypatch, line, suffixes):
    (tmp_path / "example.py").write_text(line + "\n")
    monkeypatch.setattr(names, "package_files", lambda: [tmp_path / "example.py"])
    monkeypatch.setattr(names, "relative", lambda path: path.name)
    assert [array.suffix for array in sorted(names.arrays(), key=lambda array: array.suffix)] == suffixes


def test_a_name_in_two_files_is_found(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("class Thing:\n    pass\n\n\ndef main():\n    pass\n")
    (tmp_path / "b.py").write_text("Thing: int = 3\n_hidden = 1\n\n\ndef main():\n    pass\n")
    monkeypatch.setattr(names, "package_files", lambda: [tmp_path / "a.py", tmp_path / "b.py"])
    monkeypatch.setattr(names, "relative", lambda path: path.name)
    assert names.duplicates() == {"Thing": ["a.py", "b.py"]}


def test_the_glossary_explains_every_word_once():
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|", page.split("## Glossary")[1].split("\n## ")[0], flags=re.MULTILINE)
    assert len(rows) >= 30 and len(rows) == len(set(rows)) and rows == sorted(rows, key=str.lower)


def test_no_code_cites_a_document_that_is_not_here():
    cited = {
        (relative(path), name)
        for path in package_files()
        for name in re.findall(r"[\w/.-]+\.md\b", path.read_text())
        if not (ROOT / name).is_file() and not (ROOT / "docs" / name).is_file()
    }
    assert cited == set()
