"""The one attention call: blocks of queries, odd lengths, names."""

import jax
import pytest

from tests.compare import relative_error
from vp_jax.errors import UserError
from vp_jax.models import attention


@pytest.mark.parametrize("queries", [7, 512, 513, 1100])
def test_chunked_equals_whole(queries):
    q, k, v = (
        jax.random.normal(key, (1, n, 2, 8))
        for key, n in zip(jax.random.split(jax.random.key(0), 3), (queries, 130, 130))
    )
    whole = attention.attend(q, k, v, backend="xla")
    assert relative_error(attention.attend(q, k, v, backend="chunked"), whole) < 1e-6


def test_names_are_checked():
    with pytest.raises(UserError, match="'flash': expected one of xla, chunked, cudnn"):
        attention.check_backend("flash")
    if jax.default_backend() != "gpu":
        with pytest.raises(UserError, match="needs an NVIDIA GPU"):
            attention.check_backend("cudnn")
        assert attention.default_backend() == "chunked"
