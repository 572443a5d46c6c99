"""The table of odd files: sampling and training see the same pixels and holes, and those that were drawn."""

import pytest

from tests.odd_files import ODD, check, fault


def test_the_table_is_long_enough():
    assert len(ODD) >= 60 and len({odd.name for odd in ODD}) == len(ODD)


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD, ids=[odd.name for odd in ODD])
def test_both_doors_see_what_was_drawn(tmp_path, odd):
    row = check(odd, tmp_path)
    assert not fault(odd, row.sampling), "sampling"
    assert not fault(odd, row.training), "training"
    assert row.same and row.right
