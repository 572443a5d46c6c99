"""A folder of drawn videos with planted faults, and one run over it."""

import pytest

from tests.curate.drawn_sources import write_sources
from tests.curate.small_run import small_run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """The folder of videos, and what is true of each."""
    folder = tmp_path_factory.mktemp("sources") / "videos"
    return folder, write_sources(folder, good=3, films=2, height=48, width=72)


@pytest.fixture(scope="session")
def done(drawn, tmp_path_factory):
    """A finished run."""
    return small_run(drawn[0], tmp_path_factory.mktemp("run") / "out")
