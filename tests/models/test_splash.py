"""The TPU kernels' source, interpreted on a CPU, against whole attention; block sizes that divide."""

import jax
import jax.numpy as jnp
import pytest

from tests.compare import relative_error
from vp_jax import sharding
from vp_jax.models import attention, attention_heads, rope, splash
from vp_jax.models.zero_tokens import zero_tokens

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


@pytest.mark.slow
@pytest.mark.parametrize("dtype, limit", [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_weights_of_keys_and_a_rest_are_further_channels(dtype, limit):
    q, k, v, weight = (jax.random.normal(key, (1, 130, 2, 64)) for key in jax.random.split(jax.random.key(0), 4))
    weights = jnp.where(jnp.arange(130) % 3 == 0, -1e9, jnp.log(1.0 + jnp.arange(130) % 2))[None]
    rest = 5 * jax.random.normal(jax.random.key(7), (1, 130, 2))

    def kernel(q, k, v, rest):
        half = (x.astype(dtype) for x in (q, k, v))
        extra = {"log_weights_BT": weights, "log_rest_BSK": rest}
        return splash.attend(*half, device_kind="TPU v4", save_as="a", interpret=True, **extra).astype(jnp.float32)

    def whole(q, k, v, rest):
        return attention_heads.attend(q, k, v, save_as="a", log_weights_BT=weights, log_rest_BSK=rest)

    results = [jax.vjp(f, q, k, v, rest) for f in (kernel, whole)]
    assert relative_error(results[0][0], results[1][0]) < limit
    for got, want in zip(*(back(weight) for _, back in results)):
        assert relative_error(got, want) < limit


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
@pytest.mark.parametrize("twice", [True, False])
def test_divided_sequences_give_whole_attention(sizes, twice):
    """As with the ID adapter: keys that count twice or another window's keys, and lengths that do not divide."""
    mesh = sharding.make_mesh({**sizes, "fsdp": -1})
    batch, grid, text = 2 * mesh.shape["fsdp"], (2, 2, 4), 3
    lengths = (19, 19, 19) if twice else (19, 19, 19, 6, 6)
    keys = jax.random.split(jax.random.key(0), 6)
    arrays = [jax.random.normal(key, (batch, length, 8, 16)) for key, length in zip(keys, lengths)]
    masked = jnp.zeros((batch, 19), bool).at[:, 5:10].set(True)
    table, bias = rope.rotation(*grid, 16, text, stretch=True), jax.random.normal(keys[5], (16,))

    def again(backend):
        def loss(bias, *arrays):
            q, *pairs = arrays
            zeros = zero_tokens(bias, masked, table)
            out = attention.attend_again(q, pairs, masked, zeros, grid, backend=backend)
            return (out**2).sum(), out

        return jax.jit(jax.grad(loss, argnums=(0, 2), has_aux=True))

    want = again("xla")(bias, *arrays)
    with jax.set_mesh(mesh):
        got = again("heads")(bias, *arrays)
    for g, w in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
        assert relative_error(g, w) < 1e-5
