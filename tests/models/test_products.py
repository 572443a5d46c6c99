"""Products of rounded factors: results, gradients, and what a model loses by them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from tests.compare import relative_error
from tests.models import random_weights
from tests.models.tiny import DIT
from vp_jax import trees
from vp_jax.models.dit import DiT
from vp_jax.models.folder import abstract_model
from vp_jax.models.products import bfloat16_dot_general

LAST = (((2,), (0,)), ((), ()))


def rounded(x):
    return np.asarray(x.astype(jnp.bfloat16), np.float64)


@pytest.mark.parametrize("rows", [35, 40])
def test_result_and_gradients_are_products_of_rounded_factors(rows):
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel, change = (
        jax.random.normal(key, shape) for key, shape in zip(keys, [(3, rows, 24), (24, 40), (3, rows, 40)])
    )
    y, pull = jax.vjp(lambda x, kernel: bfloat16_dot_general(x, kernel, LAST), x, kernel)
    to_x, to_kernel = pull(change)
    assert {a.dtype for a in (y, to_x, to_kernel)} == {jnp.dtype("float32")}
    assert relative_error(y, rounded(x) @ rounded(kernel)) < 1e-6
    assert relative_error(to_x, rounded(change) @ rounded(kernel).T) < 1e-6
    want = np.einsum("bsi,bso->io", rounded(x), rounded(change))
    assert relative_error(to_kernel, want) < 1e-6
    assert relative_error(y, np.asarray(x, np.float64) @ np.asarray(kernel, np.float64)) > 1e-4


def test_few_rows_are_multiplied_as_they_are():
    x, kernel = jax.random.normal(jax.random.key(0), (2, 31, 24)), jax.random.normal(jax.random.key(1), (24, 8))
    want = lax.dot_general(x, kernel, LAST, precision="highest")
    np.testing.assert_array_equal(bfloat16_dot_general(x, kernel, LAST, precision="highest"), want)


@pytest.mark.slow
def test_a_model_moves_by_the_rounding_of_its_factors():
    exact, _ = random_weights.module(DiT, DIT)
    rounding = nnx.merge(abstract_model(dataclasses.replace(DIT, products="bfloat16"))[0], trees.split(exact)[1])
    keys = jax.random.split(jax.random.key(2), 2)
    x, text = jax.random.normal(keys[0], (16, 3, 4, 6, 8)), jax.random.normal(keys[1], (16, 3, 12))
    want, got = (model(x, text, jnp.full(16, 500)).sample for model in (exact, rounding))
    assert 1e-4 < relative_error(got, want) < 2e-2
