"""The paper's numbers, and how ours stand beside them."""

from vp_jax.eval.scores import SCORES
from vp_jax.vpbench.paper import (
    OURS_OF_PAPER,
    PAPER_COLUMNS,
    PAPER_QUESTIONS,
    PAPER_STUDIES,
    PAPER_TABLES,
    paper_method,
)
from vp_jax.vpbench.published import VPBENCH_TABLES


def test_every_published_benchmark_has_its_table_with_all_columns():
    assert set(PAPER_TABLES) == {*VPBENCH_TABLES, "davis"} and set(OURS_OF_PAPER) == set(PAPER_COLUMNS)
    assert set(OURS_OF_PAPER.values()) <= set(SCORES)
    for table in PAPER_TABLES.values():
        assert len(table.rows) == 4 and table.number in (2, 3)
        assert {len(values) for values in table.rows.values()} == {len(PAPER_COLUMNS)}


def test_videopainter_leads_in_what_the_paper_prints_bold():
    for table in PAPER_TABLES.values():
        psnr = {name: values[0] for name, values in table.rows.items()}
        fvd = {name: values[-1] for name, values in table.rows.items()}
        assert max(psnr, key=psnr.get) == min(fvd, key=fvd.get) == "VideoPainter"


def test_votes_of_each_question_add_up_to_a_hundred():
    for study in PAPER_STUDIES.values():
        for number, _ in enumerate(PAPER_QUESTIONS):
            assert abs(sum(values[number] for values in study.rows.values()) - 100) < 0.25


def test_names_of_methods_match_whatever_their_spelling():
    table = PAPER_TABLES["davis"]
    assert paper_method("cog_inp", table) == "Cog-Inp" and paper_method("videopainter", table) == "VideoPainter"
    assert paper_method("nano", table) is None
