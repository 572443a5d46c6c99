"""The sum over tokens with zero values in closed form, against one exponential per token in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.models import rope
from vp_jax.models.zero_tokens import log_sum, zero_tokens

GRID, TEXT, HEAD = (3, 2, 5), 4, 16
TOKENS = TEXT + 30


def by_hand(q_BSKA, bias_A, masked_BS, table):
    """Keys of the unmasked tokens one by one, rotated as complex numbers, in float64."""
    z = bias_A[0::2] + 1j * bias_A[1::2]
    turned = z if table is None else z * (np.asarray(table.cos, np.float64) + 1j * np.asarray(table.sin, np.float64))
    turned = np.broadcast_to(turned, (masked_BS.shape[1], HEAD // 2))
    keys_SA = np.stack([turned.real, turned.imag], axis=-1).reshape(-1, HEAD)
    logits = np.einsum("bska,ta->bskt", q_BSKA, keys_SA) / np.sqrt(HEAD)
    return np.log(np.sum(np.where(masked_BS[:, None, None], 0.0, np.exp(logits)), axis=-1))


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, TOKENS, 3, HEAD)) * 2, rng.standard_normal(HEAD)


def masks(share):
    masked = np.random.default_rng(5).random((2, TOKENS)) < share
    masked[:, :TEXT] = False
    return masked


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_the_sum_is_that_over_all_unmasked_tokens(arrays, share, rotated, constant):
    """``constant``: the mask is part of the program, which XLA once simplified to another result."""
    q, bias = arrays
    masked, table = masks(share), rope.rotation(*GRID, HEAD, TEXT, stretch=True) if rotated else None

    def found(q, bias, masked):
        return log_sum(q, zero_tokens(bias, masked, table), GRID if rotated else None)

    given = jnp.asarray(q, jnp.float32), jnp.asarray(bias, jnp.float32)
    if constant:
        got = jax.jit(lambda q, bias: found(q, bias, jnp.asarray(masked)))(*given)
    else:
        got = jax.jit(found)(*given, masked)
    np.testing.assert_allclose(got, by_hand(q, bias, masked, table), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_blocks_of_queries_give_the_same_sum_and_gradient(arrays, monkeypatch):
    table = rope.rotation(*GRID, HEAD, TEXT, stretch=True)
    q, bias = (jnp.asarray(x, jnp.float32) for x in arrays)

    def total(q, bias):
        return log_sum(q, zero_tokens(bias, jnp.asarray(masks(0.3)), table), GRID).sum()

    want = jax.value_and_grad(total, (0, 1))(q, bias)
    monkeypatch.setattr("vp_jax.models.zero_tokens._LARGEST", 2 * 5 * 3 * 6)
    got = jax.value_and_grad(total, (0, 1))(q, bias)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)


@pytest.mark.slow
def test_logits_far_apart_leave_the_sum_finite():
    """The largest exponential is of a masked token, and of the unmasked ones nothing is left beside it."""
    table = rope.rotation(*GRID, HEAD, TEXT, stretch=True)
    q, bias = jnp.full((1, 1, 1, HEAD), 40.0), jnp.full(HEAD, 40.0)
    masked = jnp.arange(TOKENS)[None] >= TEXT
    value, slope = jax.value_and_grad(lambda q: log_sum(q, zero_tokens(bias, masked, table), GRID).sum())(q)
    np.testing.assert_allclose(value, 40.0 * 40.0 * HEAD / 4 + np.log(TEXT), rtol=1e-6)
    np.testing.assert_allclose(slope, np.full(q.shape, 10.0), rtol=1e-5)
