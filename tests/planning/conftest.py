"""One case for one CPU device: the packaged model."""

import jax
import pytest

from vp_jax import sharding
from vp_jax.planning.case import Case


@pytest.fixture(scope="session")
def one_cpu():
    return sharding.make_mesh({}, jax.devices()[:1])


@pytest.fixture
def nano(one_cpu):
    def case(platform="cpu", **changes):
        return Case(one_cpu, platform, **changes)

    return case
