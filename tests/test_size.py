"""Limits of size: files of 400 lines, functions of 60, a room of 15 % of all lines (see `python -m tests.layout`)."""

import pytest

from tests import layout

# What is over a limit today. The lists only shrink: an entry that fits again must be removed.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()


def test_no_file_is_over_the_limit():
    assert {file.name for file in layout.long_files()} == LONG_FILES


@pytest.mark.slow
def test_no_function_is_over_the_limit():
    assert {function.name for function in layout.long_functions()} == LONG_FUNCTIONS


def test_no_room_outgrows_the_house():
    sizes = layout.rooms()
    total = sum(lines for _, lines in sizes.values())
    assert len(sizes) > 20 and total > 10_000
    assert {room: lines for room, (_, lines) in sizes.items() if lines >= layout.LARGEST_SHARE * total} == {}


def test_the_length_of_a_function_is_that_of_all_its_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "ROOT", tmp_path)
    file = tmp_path / "example.py"
    file.write_text('class A:\n    def f(self):\n        """One.\n\n        Two.\n        """\n        return 1\n')
    assert list(layout.functions(file)) == [layout.Long("example.py:A.f", 6)]


@pytest.mark.slow
def test_the_command_prints_rooms_and_every_limit(capsys: pytest.CaptureFixture[str]):
    status = layout.main()
    printed = capsys.readouterr().out
    assert "vp_jax/models " in printed and "functions over 60 lines:" in printed and "imports upward:" in printed
    assert status == int(bool(LONG_FILES or LONG_FUNCTIONS or layout.upward_imports()))
