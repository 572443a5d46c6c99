"""Tables of rows: means, differences, ranks, failures."""

import math

import pytest

from tests.vpbench.small_bench import describe, row
from vp_jax.errors import UserError
from vp_jax.vpbench.results_table import group_tables

ROWS = [
    row("a", "mean", psnr=10.0, mae=0.5, group="fill"),
    row("b", "mean", psnr=20.0, mae=0.4, group="swap"),
    row("a", "ours", 0, psnr=12.0, mae=0.3, group="fill"),
    row("a", "ours", 1, psnr=14.0, mae=0.3, group="fill"),
    row("b", "ours", 0, error="no such file", group="swap"),
]


def test_every_group_has_a_table_and_methods_stand_by_rank():
    whole, fill, swap = group_tables(ROWS, describe(*ROWS))
    assert [t.group for t in (whole, fill, swap)] == ["all", "fill", "swap"] and whole.clips == 2
    assert whole.scores == ("psnr", "mae") and whole.base == "mean"
    ours, mean = whole.rows
    assert (ours.method, ours.rank, ours.clips, ours.failed, ours.seeds) == ("ours", 1, 1, 1, 2)
    assert ours.values["psnr"].mean == 13 and mean.values["psnr"].mean == 15 and mean.rank == 2
    assert ours.gaps["psnr"].mean == 3 and mean.gaps == {}, "differences compare the clips that both have"
    assert whole.best("psnr") == {"mean"} and fill.best("mae") == {"ours"}
    assert math.isnan(next(r for r in swap.rows if r.method == "ours").values["psnr"].mean)


def test_equal_methods_have_no_best():
    rows = [row("a", "one", psnr=1.0), row("a", "two", psnr=1.0)]
    assert group_tables(rows, describe(*rows))[0].best("psnr") == set()


def test_columns_of_the_released_program_pool_frames_and_have_no_interval():
    import dataclasses

    rows = [row("a", "m", reference_psnr=10.0), dataclasses.replace(row("b", "m", reference_psnr=20.0), frames=9)]
    found = group_tables(rows, describe(*rows))[0].rows[0].values["reference_psnr"]
    assert found.mean == pytest.approx((3 * 10 + 9 * 20) / 12) and math.isnan(found.low)


@pytest.mark.parametrize(
    "rows, options, message",
    [
        ([], {}, "no rows"),
        (ROWS, {"base": "theirs"}, "base theirs: expected one of mean, ours"),
        (ROWS, {"scores": ["ssim"]}, "score ssim: no row has it, expected among mae, psnr"),
    ],
)
def test_mistakes_are_one_line(rows, options, message):
    with pytest.raises(UserError, match=message):
        group_tables(rows, describe(*rows), **options)
