"""A small benchmark that was run once: two drawn clips, two baselines."""

import pytest

from tests.vpbench.small_bench import small_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The store of a finished run, not to be changed."""
    run = small_run(tmp_path_factory.mktemp("bench"))
    assert [done.row.error for done in run.rows()] == [""] * 4
    return run.store
