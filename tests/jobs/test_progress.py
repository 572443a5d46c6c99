"""The bar starts with a real total and counts no time for what an earlier run did."""

import re

from vp_jax.jobs.progress import Progress


def test_the_first_line_has_the_total(capsys):
    with Progress() as progress:
        assert capsys.readouterr().err == ""
        progress(0, 20, "compiling")
        progress(1, 20, "window 1/1")
        progress(20, 20, "decoding 17/17 frames")
    lines = [line for line in capsys.readouterr().err.split("\r") if line.strip()]
    assert "compiling" in lines[0] and "0/20" in lines[0]
    assert "decoding 17/17 frames" in lines[-1] and "20/20" in lines[-1] and "left" in lines[-1]
    assert not any(re.search(r"\b0/0\b", line) for line in lines)


def test_a_continued_run_starts_where_it_is(capsys):
    with Progress() as progress:
        progress(0, 20, "compiling")
        progress(12, 20, "window 2/2 continued")
        progress(13, 20, "window 2/2")
    assert "13/20" in capsys.readouterr().err


def test_it_can_be_closed_and_used_again(capsys):
    progress = Progress()
    progress.close()
    progress(1, 2, "first")
    progress.close()
    progress(1, 4, "second")
    progress.close()
    err = capsys.readouterr().err
    assert "1/2" in err and "1/4" in err


def test_a_new_begin_is_a_new_bar(capsys):
    with Progress() as progress:
        progress(0, 2, "collect")
        progress(2, 2, "collect")
        progress(0, 5, "cuts")
        progress(1, 5, "cuts")
    finished, begun = capsys.readouterr().err.strip().split("\n")
    assert "2/2" in finished and "0/5" not in finished and "1/5" in begun
