"""One head at a time in blocks of queries: outputs and gradients of whole attention, with less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.models import attention, attention_heads


def draw(queries, keys, heads=2, size=8):
    shapes = [(2, n, heads, size) for n in (queries, keys, keys, queries)]
    return [jax.random.normal(key, shape) for key, shape in zip(jax.random.split(jax.random.key(0), 4), shapes)]


def gradients(function, *arrays, weight):
    return jax.jit(lambda *a: jax.vjp(function, *a)[1](weight))(*arrays)


@pytest.mark.slow
@pytest.mark.parametrize("queries, keys", [(7, 30), (600, 130)])
def test_outputs_and_gradients_are_those_of_whole_attention(queries, keys):
    q, k, v, weight = draw(queries, keys)

    def heads(q, k, v):
        return attention.attend(q, k, v, backend="heads")

    def whole(q, k, v):
        return attention.attend(q, k, v, backend="xla")

    assert relative_error(jax.jit(heads)(q, k, v), whole(q, k, v)) < 1e-6
    for got, want in zip(gradients(heads, q, k, v, weight=weight), gradients(whole, q, k, v, weight=weight)):
        assert relative_error(got, want) < 1e-5


@pytest.mark.slow
def test_weights_repeat_keys_and_the_rest_is_a_key_without_value():
    q, k, v, weight = draw(300, 40)
    counts = np.random.default_rng(1).integers(1, 3, (2, 40))
    rest = jax.random.normal(jax.random.key(7), (2, 300, 2))

    def weighted(q, k, v, rest):
        return attention_heads.attend(
            q, k, v, save_as="a", log_weights_BT=jnp.log(jnp.asarray(counts, jnp.float32)), log_rest_BSK=rest
        )

    def written_out(q, k, v, rest):
        scores = jnp.einsum("bska,btka->bskt", q, k) * q.shape[-1] ** -0.5
        exps = jnp.exp(scores) * counts[:, None, None]
        return jnp.einsum("bskt,btka->bska", exps / (exps.sum(-1) + jnp.exp(rest))[..., None], v)

    assert relative_error(weighted(q, k, v, rest), written_out(q, k, v, rest)) < 1e-6
    got, want = (gradients(f, q, k, v, rest, weight=weight) for f in (weighted, written_out))
    for g, w in zip(got, want):
        assert relative_error(g, w) < 1e-5


@pytest.mark.slow
def test_bfloat16_stays_bfloat16_and_near_float32():
    q, k, v, weight = (x.astype(jnp.bfloat16) for x in draw(20, 20))

    def heads(q, k, v):
        return attention.attend(q, k, v, backend="heads")

    out, back = heads(q, k, v), gradients(heads, q, k, v, weight=weight)
    assert {x.dtype for x in (out, *back)} == {jnp.dtype("bfloat16")}
    exact = attention.attend(*(x.astype(jnp.float32) for x in (q, k, v)), backend="xla")
    assert relative_error(out, exact) < 1e-2


@pytest.mark.slow
def test_no_array_of_all_scores_exists():
    q, k, v, _ = draw(1024, 1024)

    def temporaries(backend):
        def loss(*a):
            return attention.attend(*a, backend=backend).sum()

        return jax.jit(jax.grad(loss, (0, 1, 2))).lower(q, k, v).compile().memory_analysis().temp_size_in_bytes

    assert temporaries("heads") < temporaries("xla") / 4
