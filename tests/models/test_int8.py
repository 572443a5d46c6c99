"""Blocks in 8 bits: how far a product moves, and that a model of such blocks is near the one it came from."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from tests.models import random_weights
from tests.models.tiny import DIT
from vp_jax import trees
from vp_jax.models.dit import DiT
from vp_jax.models.int8 import Int8Linear, quantise


def test_rounding_moves_a_value_by_at_most_half_a_step_of_its_channel():
    kernel = jax.random.normal(jax.random.key(0), (2, 40, 6)) * jnp.asarray([[[1e-4, 1, 2, 3, 100, 0]]])
    like = {"a": {"kernel": jax.ShapeDtypeStruct(kernel.shape, jnp.int8)}}
    made = quantise({"a": {"kernel": kernel}, "b": {"kernel": kernel}}, like | {"b": {"kernel": kernel}})
    assert made["b"]["kernel"] is kernel
    back = made["a"]["kernel"].astype(np.float32) * made["a"]["scale"][:, None]
    assert (np.abs(back - kernel) <= 0.501 * np.abs(kernel).max(axis=1, keepdims=True) / 127).all()
    assert np.abs(made["a"]["kernel"]).max() == 127 and not np.asarray(back[..., 5]).any()


def test_the_layer_is_the_dense_layer_of_the_rounded_kernel():
    layer = Int8Linear(5, 3, dtype=jnp.dtype("float32"), param_dtype=jnp.dtype("float32"))
    kernel = jnp.arange(-7, 8, dtype=jnp.int8).reshape(5, 3)
    layer.kernel[...], layer.scale[...] = kernel, jnp.asarray([0.5, 2.0, 4.0])
    layer.bias[...] = jnp.asarray([1.0, 0.0, -1.0])
    x = jax.random.normal(jax.random.key(1), (2, 4, 5))
    want = x @ (kernel * jnp.asarray([[0.5, 2.0, 4.0]])) + jnp.asarray([[[1.0, 0.0, -1.0]]])
    assert relative_error(layer(x), want) < 1e-6
    assert layer(x.astype(jnp.bfloat16)).dtype == jnp.float32


@pytest.mark.slow
def test_a_backbone_in_8_bits_is_near_and_half_as_large():
    half = {"dtype": "float32", "param_dtype": "bfloat16"}
    plain, _ = random_weights.module(DiT, dataclasses.replace(DIT, **half))
    params = trees.split(plain)[1]
    graph, like = trees.abstract(lambda: DiT(dataclasses.replace(DIT, **half, weights="int8"), rngs=nnx.Rngs(0)))
    small = quantise(params, like)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), small) == jax.tree.map(lambda a: (a.shape, a.dtype), like)
    sizes = [trees.size_bytes(tree["blocks"]["attn"]["to_q"]) for tree in (small, params)]
    assert sizes[0] < 0.7 * sizes[1]
    keys = jax.random.split(jax.random.key(2), 2)
    inputs = jax.random.normal(keys[0], (1, 3, 4, 6, 8)), jax.random.normal(keys[1], (1, 3, 12)), jnp.array([500])
    want, got = (jax.jit(lambda m, *a: m(*a).sample)(m, *inputs) for m in (plain, nnx.merge(graph, small)))
    assert 1e-5 < relative_error(got, want) < 0.05
