"""A table of jobs: what is read, what is recorded, and what is not run twice."""

import itertools
from pathlib import Path

import pytest

from vp_jax.errors import UserError
from vp_jax.jobs import table
from vp_jax.jobs.table import JobRow, Outcome, Results, check_outs, digest_of, read_jobs, results_file, run_rows

COLUMNS = ("video", "prompt", "out", "seed")


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_are_read_by_their_columns_and_empty_cells_are_left_out(tmp_path):
    text = '\ufeffout, prompt ,seed\r\na.mkv,"a fox, red",3\r\n,,\r\nb.mkv,"two\nlines",\r\n'
    rows = read_jobs(write(tmp_path / "jobs.csv", text), COLUMNS)
    assert rows == [
        JobRow(1, {"out": "a.mkv", "prompt": "a fox, red", "seed": "3"}),
        JobRow(3, {"out": "b.mkv", "prompt": "two\nlines"}),
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected a line of column names, such as video,mask,prompt,out, and a row for each job"),
        ("out,seed\n", "expected a line of column names"),
        ("out,sed\na,1\n", "unknown column 'sed': did you mean seed?"),
        ("out,\na,1\n", "unknown column '': expected among video, prompt, out, seed"),
        ("out,out\na,1\n", "column out is there twice"),
        ("out,seed\na\n", "row 1 has 1 cells, the table 2 columns"),
        ('out\n"a\n', "is no table"),
        (b"out\n\xff\n", "is no table"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        read_jobs(write(tmp_path / "jobs.csv", text), COLUMNS)
    assert message in str(caught.value) and "jobs.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_two_rows_do_not_write_the_same_files(tmp_path):
    check_outs(tmp_path / "t.csv", [(1, tmp_path / "a.mkv"), (2, tmp_path / "b.mkv")])
    with pytest.raises(UserError, match=r"t.csv: rows 1 and 3 both write .*a.mp4, or files named after it"):
        check_outs(tmp_path / "t.csv", [(1, tmp_path / "a.mkv"), (3, tmp_path / "a.mp4")])
    with pytest.raises(UserError, match="rows 1 and 2 both write"):
        check_outs(tmp_path / "t.csv", [(1, tmp_path / "a.mkv"), (2, tmp_path / "b" / ".." / "a.mkv")])
    check_outs(tmp_path / "t.csv", [(1, Path("/")), (2, Path(".")), (3, Path("a\0b"))])  # each row refuses its own


def test_a_result_whose_name_no_file_can_have_is_not_finished(tmp_path):
    row = JobRow(1, {"out": "x"})
    for out in ("x" * 5000, "a\0b", "nowhere"):
        results = Results(results_file(tmp_path / "jobs.csv"))
        results.add(Outcome(1, "done", out, 1.0, "", "digest"))
        assert not results.done(row, "digest")


def run(rows, results, fails=()):
    """Outcomes of rows, of which some fail; what was run."""
    ran, ticks = [], itertools.count()

    def one(row):
        ran.append(row.number)
        out = results.path.parent / row.values["out"]
        if row.number in fails:
            raise UserError(f"row {row.number} is bad")
        out.write_text("result")
        return out

    digests = {row.number: digest_of(row, {"steps": 3}) for row in rows}
    return list(run_rows(rows, results, digests, one, str, lambda: float(next(ticks)))), ran


def test_a_bad_row_is_recorded_the_rest_goes_on_and_only_it_is_tried_again(tmp_path):
    rows, path = [JobRow(k, {"out": f"{k}.mkv"}) for k in (1, 2, 3)], results_file(tmp_path / "jobs.csv")
    assert path == tmp_path / "jobs.results.csv"
    outcomes, ran = run(rows, Results(path), fails=[2])
    assert ran == [1, 2, 3] and [o.status for o in outcomes] == [table.DONE, table.FAILED, table.DONE]
    assert outcomes[1][:5] == (2, "failed", "2.mkv", 1.0, "row 2 is bad")
    header, *lines = path.read_text().splitlines()
    assert header == "row,status,out,seconds,error,digest" and [line.split(",")[0] for line in lines] == ["1", "2", "3"]
    outcomes, ran = run(rows, Results(path))
    assert ran == [2] and [o.status for o in outcomes] == ["done"]
    assert run(rows, Results(path))[1] == []
    changed = [rows[0], JobRow(2, {"out": "2.mkv", "seed": "4"}), rows[2]]
    assert run(changed, Results(path))[1] == [2]
    (tmp_path / "3.mkv").unlink()
    assert run(changed, Results(path))[1] == [3]
    assert run(changed, Results(path, fresh=True))[1] == [1, 2, 3]


def test_an_interrupt_ends_the_table_and_keeps_what_is_finished(tmp_path):
    rows, path = [JobRow(k, {"out": f"{k}.mkv"}) for k in (1, 2)], tmp_path / "r.csv"

    def one(row):
        if row.number == 2:
            raise KeyboardInterrupt
        (tmp_path / "1.mkv").write_text("x")
        return tmp_path / "1.mkv"

    digests = {row.number: digest_of(row, {}) for row in rows}
    with pytest.raises(KeyboardInterrupt):
        list(run_rows(rows, Results(path), digests, one, str, lambda: 0.0))
    results = Results(path)
    assert [results.done(row, digests[row.number]) for row in rows] == [True, False]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(Outcome._fields) + "\nx,done,a,1,,d\n", "\xff"])
def test_a_file_that_is_no_results_is_left_alone(tmp_path, text):
    path = write(tmp_path / "jobs.results.csv", text.encode("latin-1"))
    with pytest.raises(UserError, match="is in the place of the results, and no run wrote it: move it"):
        Results(path)
    assert path.read_bytes() == text.encode("latin-1")


def test_a_digest_is_of_the_row_and_of_what_holds_for_all():
    row, other = JobRow(1, {"out": "a"}), JobRow(1, {"out": "a", "seed": "1"})
    assert len({digest_of(row, {}), digest_of(other, {}), digest_of(row, {"steps": 3})}) == 3
    assert digest_of(JobRow(2, {"out": "a"}), {}) == digest_of(row, {})
