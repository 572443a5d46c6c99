"""The list of mutants: every fault still applies, and the program tells a noticed fault from one that survives."""

import pytest

from tests import mutants, mutation
from tests.layout import ROOT


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_every_fault_applies_to_one_line_and_names_tests(mutant):
    text = (ROOT / mutant.file).read_text()
    assert mutation.mutated(text, mutant) != text
    files = mutant.tests.partition(" -k ")[0].split()
    assert files and all((ROOT / file).is_file() for file in files)


def test_every_mutant_has_its_own_name():
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(names) == len(set(names)) >= 26


def test_the_page_shows_the_table():
    assert mutation.table() in (ROOT / "docs" / "testing.md").read_text()


@pytest.mark.slow
def test_a_noticed_fault_is_killed_and_another_survives(tmp_path):
    (tmp_path / "adding.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "test_adding.py").write_text("from adding import add\n\n\ndef test_add():\n    assert add(2, 2) == 4\n")
    found = {
        new: mutation.killed(tmp_path, mutants.Mutant("m", "", "adding.py", "a + b", new, "test_adding.py"))
        for new in ("a - b", "a * b")
    }
    assert found == {"a - b": True, "a * b": False}
    assert (tmp_path / "adding.py").read_text().endswith("return a + b\n"), "the file is as before"


def test_a_line_that_moved_is_named():
    with pytest.raises(ValueError, match=r"ema: vp_jax/training/step\.py has 0 times"):
        mutation.mutated("", mutants.MUTANTS[0])


def test_an_unknown_mutant_is_named(capsys):
    with pytest.raises(SystemExit):
        mutation.main(["nothing"])
    assert "no mutant nothing: expected some of ema" in capsys.readouterr().err
