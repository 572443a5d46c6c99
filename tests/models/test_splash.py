"""The TPU kernels' source, interpreted on a CPU, against whole attention; block sizes that divide."""

import jax
import jax.numpy as jnp
import pytest

from tests.compare import relative_error
from vp_jax import sharding
from vp_jax.models import attention, splash

KINDS = list(splash.BLOCKS)


@pytest.mark.slow
@pytest.mark.parametrize("queries, keys", [(140, 140), (128, 256), (130, 300)])
def test_forward_and_backward_equal_whole_attention(queries, keys):
    q, k, v = (
        jax.random.normal(key, (2, n, 2, 64))
        for key, n in zip(jax.random.split(jax.random.key(0), 3), (queries, keys, keys))
    )

    def kernel(q, k, v):
        return splash.attend(q, k, v, device_kind="TPU v4", save_as=attention.SAVED, interpret=True)

    def whole(q, k, v):
        return attention.attend(q, k, v, backend="xla")

    assert relative_error(kernel(q, k, v), whole(q, k, v)) < 1e-5
    weight = jax.random.normal(jax.random.key(9), q.shape)
    got, want = (jax.grad(lambda *a, f=f: jnp.sum(f(*a) * weight), argnums=(0, 1, 2))(q, k, v) for f in (kernel, whole))
    for g, w in zip(got, want):
        assert relative_error(g, w) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [1, 78, 128, 4444, 8888, 17776, 18816, 35552])
def test_blocks_divide_a_little_padding(kind, length):
    limit = splash.BLOCKS[kind]
    for limits in ((limit.q, limit.backward_q), (limit.kv, limit.backward_kv)):
        padded, *blocks = splash.fit(length, *limits)
        assert length <= padded <= 1.1 * length + 128
        assert all(padded % block == 0 and block % 128 == 0 and block <= most for block, most in zip(blocks, limits))


def test_the_released_size_is_padded_by_less_than_one_percent():
    for kind in KINDS:
        limit = splash.BLOCKS[kind]
        assert splash.fit(17776, limit.q, limit.backward_q)[0] == 17920


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [{"context": 2}, {"context": 4}, {"data": 2, "context": 2, "tensor": 2}])
@pytest.mark.parametrize("length", [16, 19])
def test_divided_sequences_give_whole_attention(sizes, length):
    """Two sets of keys, as with the ID adapter, and lengths that do not divide."""
    mesh = sharding.make_mesh({**sizes, "fsdp": -1})
    batch = 2 * mesh.shape["fsdp"]
    arrays = [jax.random.normal(key, (batch, length, 8, 16)) for key in jax.random.split(jax.random.key(0), 5)]
    q, k, v, k2, v2 = arrays
    want = attention.attend(q, jnp.concatenate([k, k2], 1), jnp.concatenate([v, v2], 1), backend="xla")
    with jax.set_mesh(mesh):
        got = jax.jit(lambda *a: attention.attend(*a, backend="chunked"))(*arrays)
    assert relative_error(got, want) < 1e-6
