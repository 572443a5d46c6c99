"""Curves are drawn where their values are, with gaps, bands and few points."""

import re

import pytest

from vp_jax.jobs.report.curves import Line, bars, curve


def test_a_line_runs_from_frame_to_frame_and_stops_where_a_value_is_missing():
    drawn = curve("a < b", "levels", [Line([0.0, 10.0, None, 20.0, 20.0])])
    path = re.search(r'd="([^"]+)"', drawn)[1]
    assert path == "M0 100h0L250 52.38M750 4.76h0L1000 4.76"
    assert "a &lt; b" in drawn and "<span>frame 4</span>" in drawn and 'data-frames="5"' in drawn


def test_seams_are_bands():
    drawn = curve("t", "u", [Line([1.0] * 11)], seams=[(4, 6)])
    assert '<rect class="seam" x="350" width="300"' in drawn


def test_long_lines_are_thinned_and_keep_their_peaks():
    values = [1.0] * 40_000
    values[12_345] = 9.0
    drawn = curve("t", "u", [Line(values)])
    path = re.search(r'd="([^"]+)"', drawn)[1]
    assert path.count("L") < 1600 and " 4.76" in path


def test_colours_span_their_values():
    drawn = curve("t", "u", [Line([100.0, 102.0])], from_zero=False)
    assert ">106<" in drawn and ">96<" in drawn


@pytest.mark.parametrize("values", [[], [1.0], [None, None, None], [None, 3.0]], ids=str)
def test_nothing_is_drawn_of_nothing(values):
    assert curve("t", "u", [Line(values)]) == "" and bars("t", "u", values) == ""


def test_a_bar_stands_for_each_window_that_was_measured():
    drawn = bars("t", "seconds", [10.0, None, 5.0])
    assert drawn.count("<rect") == 2 and "window 3" in drawn and ">0<" in drawn
