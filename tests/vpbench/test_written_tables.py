"""Tables as CSV, JSON, Markdown and LaTeX."""

import csv
import io
import json
import math

import pytest

from tests.vpbench.small_bench import describe, row
from vp_jax.eval.bootstrap import Interval
from vp_jax.vpbench.results_table import group_tables
from vp_jax.vpbench.written_tables import TABLE_FILES, interval_text, number_text, write_tables

ROWS = [
    row("a", "ProPainter", psnr_outside=20.0, mae_outside=0.05),
    row("b", "ProPainter", psnr_outside=22.0, mae_outside=0.03),
    row("a", "nano_1", psnr_outside=30.0, mae_outside=0.01),
    row("b<i>|", "nano_1", error="bad | <b>clip</b>"),
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    description = describe(*ROWS, benchmark="davis")
    files = write_tables(folder, group_tables(ROWS, description), ROWS, description)
    assert [file.name for file in files] == [*TABLE_FILES]
    return {file.name: file.read_text() for file in files}


def test_csv_has_a_line_for_each_method_and_score(texts):
    lines = list(csv.DictReader(io.StringIO(texts["table.csv"])))
    assert [(line["method"], line["score"]) for line in lines[:2]] == [
        ("nano_1", "psnr_outside"),
        ("nano_1", "mae_outside"),
    ]
    assert float(lines[0]["mean"]) == 30 and float(lines[0]["difference"]) == 10 and lines[2]["difference"] == ""
    rows = list(csv.DictReader(io.StringIO(texts["rows.csv"])))
    assert rows[3]["error"] == "bad | <b>clip</b>" and rows[3]["psnr_outside"] == "" and rows[0]["psnr_outside"] == "20"


def test_json_has_no_nan_and_holds_the_paper(texts):
    found = json.loads(texts["table.json"], parse_constant=lambda name: pytest.fail(name))
    assert found["groups"][0]["methods"]["ProPainter"]["scores"]["psnr_outside"]["mean"] == 21
    assert found["paper"]["table"] == 2 and found["paper"]["rows"]["VideoPainter"][0] == 25.27


def test_markdown_stands_beside_the_papers_numbers_and_names_failures(texts):
    text = texts["table.md"]
    assert "## The paper, table 2: inpainting, DAVIS with random masks" in text
    assert "| ProPainter (paper) | 23.99 | 0.92 |" in text and "| ProPainter (here, ProPainter) | 21.00 | - |" in text
    assert "| nano_1 (here) | 30.00 | - | - | - | 1.000 |" in text, "the mean absolute error x 100"
    assert "compare the order, not the values" in text
    assert "* b&lt;i>\\|, nano_1, seed 0: bad \\| &lt;b>clip&lt;/b>" in text
    assert "**30.00 [30.00, 30.00]**" in text


def test_latex_is_escaped_and_marks_the_best(texts):
    text = texts["table.tex"]
    assert r"nano\_1 & \textbf{30.00}" in text and r"psnr\_outside $\uparrow$" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2


def test_numbers_are_short():
    assert [number_text(x) for x in (0.01234, 1.23456, 12.3456, -0.5, math.nan)] == [
        "0.0123",
        "1.235",
        "12.35",
        "-0.500",
        "-",
    ]
    assert interval_text(Interval(1.0, 0.5, 2.0, 3)) == "1.000 [0.500, 2.000]"
    assert interval_text(Interval(1.0, math.nan, math.nan, 3)) == "1.000"
