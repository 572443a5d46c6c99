"""The journal names once, counts always, and ends the run past the rate."""

import os
import pickle

import pytest

from vp_jax.data.journal import Journal, read_journal
from vp_jax.errors import UserError


def test_each_record_is_named_once_and_counted_always(tmp_path):
    journal = Journal(tmp_path / "logs" / "bad.jsonl", max_rate=1)
    for _ in range(3):
        journal.skip("a", "file:1", "broken")
        journal.good()
    journal.note("b", "file:2", "odd")
    assert (journal.seen, journal.skipped) == (6, 3)
    assert (tmp_path / "logs" / "bad.jsonl").read_text().count("broken") == 1
    assert read_journal(journal.path) == {"a": "broken"} and read_journal(journal.path, "used") == {"b": "odd"}


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[1]", b'{"kind": "skipped"}', b"null", b'{"kind'])
def test_a_damaged_line_is_left_out_when_a_journal_is_read(tmp_path, line):
    journal = Journal(tmp_path / "bad.jsonl", max_rate=1)
    journal.skip("a", "file:1", "broken")
    with journal.path.open("ab") as file:
        file.write(line + b"\n")
    journal.skip("b", "file:2", "name \udcff is not UTF-8")
    assert list(read_journal(journal.path)) == ["a", "b"]


def test_a_journal_that_cannot_be_written_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, message in (("pipe", "is a pipe"), ("folder", "is a folder"), ("none/x", "cannot be written")):
        journal = Journal(tmp_path / name)
        (tmp_path / "none").rmdir() if name == "none/x" else None
        with pytest.raises(UserError, match=message):
            journal.skip("a", "file:1", "broken")


def test_only_past_the_rate_the_run_ends(tmp_path):
    journal = Journal(tmp_path / "bad.jsonl", max_rate=0.1, min_seen=10)
    journal.skip("first", "x", "broken")  # too early to judge
    for _ in range(18):
        journal.good()
    journal.skip("second", "x", "broken")  # 2 of 20 is the rate, not past it
    with pytest.raises(UserError, match=r"3 of 21 records .* 10.0% .*bad.jsonl"):
        journal.skip("third", "x", "broken")


def test_copies_for_workers_share_the_file_and_not_the_counts(tmp_path):
    journal = Journal(tmp_path / "bad.jsonl", max_rate=1)
    journal.skip("a", "x", "one")
    copy = pickle.loads(pickle.dumps(journal))
    copy.skip("b", "x", "two")
    assert copy.seen == 1 and read_journal(journal.path) == {"a": "one", "b": "two"}


def test_excluded_records_are_named_apart_and_a_line_cut_short_by_a_crash_is_left_out(tmp_path):
    journal = Journal(tmp_path / "bad.jsonl")
    journal.exclude("a", "step 3", "not finite")
    journal.exclude("a", "step 3", "not finite")
    with open(journal.path, "ab") as file:
        file.write(b'{"kind": "excluded", "id": "b", "ori')
    assert read_journal(journal.path, "excluded") == {"a": "not finite"} and read_journal(journal.path) == {}
    assert (journal.seen, journal.skipped) == (0, 0)
